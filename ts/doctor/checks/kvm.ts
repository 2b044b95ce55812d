// KVM: a host runs virtual machines fast with it.

import { note, ok, type Check } from '../check.js';

export const kvm: Check = {
  name: 'kvm',
  title: 'KVM',
  linuxOnly: true,
  run: ({ access, env }) => {
    switch (access('/dev/kvm')) {
      case 'usable':
        return ok('/dev/kvm can be used');
      case 'forbidden':
        return note('/dev/kvm may not be opened: virtual machines of yours are emulated, and slow', `add yourself to the group "kvm": sudo usermod -aG kvm ${env['USER'] ?? '"$USER"'}, and log in again`);
      case 'absent':
        return note('there is no /dev/kvm: this machine runs no virtual machines, or emulates them');
    }
  },
};
