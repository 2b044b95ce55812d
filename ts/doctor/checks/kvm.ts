// KVM: a host runs virtual machines fast with it.

import { note, ok, type Check, type Finding } from '../check.js';

export const kvm: Check = {
  name: 'kvm',
  title: 'KVM',
  linuxOnly: true,
  run: ({ access, env, kvmBoots }) => {
    switch (access('/dev/kvm')) {
      case 'usable':
        return usable(kvmBoots());
      case 'forbidden':
        return note('/dev/kvm may not be opened: virtual machines of yours are emulated, and slow', `add yourself to the group "kvm": sudo usermod -aG kvm ${env['USER'] ?? '"$USER"'}, and log in again`);
      case 'absent':
        return note('there is no /dev/kvm: this machine runs no virtual machines, or emulates them');
    }
  },
};

/** That it can be opened says little: some hosts offer it but can't run a guest's kernel. */
function usable(boots: boolean | undefined): Finding {
  if (boots === undefined) return ok('/dev/kvm can be opened; whether it boots a guest shows with the first "x11bridge vm"');
  if (boots) return ok('/dev/kvm boots guests, as "x11bridge vm" has found');
  return note('/dev/kvm can be opened, but did not boot a guest when "x11bridge vm" tried: guests are emulated here, and slow', 'if this machine is virtual itself, turn nested virtualization on at its host');
}
