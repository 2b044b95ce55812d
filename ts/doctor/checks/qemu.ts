// QEMU: from 11.1 on it takes devices of other processes that share memory with the guest.

import { note, ok, type Check, type Finding, type Machine } from '../check.js';

const OLDEST = [11, 1] as const;
const DEVICE = 'vhost-user-test-device-pci';

export const qemu: Check = {
  name: 'qemu',
  title: 'QEMU',
  linuxOnly: true,
  run: async (machine) => {
    const own = await lookAt(`qemu-system-${machine.arch === 'arm64' ? 'aarch64' : 'x86_64'}`, machine);
    const fetched = own.verdict === 'ok' ? undefined : machine.fetchedQemu();
    if (fetched === undefined) return own;
    const found = await lookAt(fetched, machine);
    return found.verdict === 'ok' ? ok(`${found.cause}, which "npm run vm:setup" has fetched for "x11bridge vm" (${fetched})`) : own;
  },
};

async function lookAt(program: string, { output }: Machine): Promise<Finding> {
  const version = /version (\d+)\.(\d+)\S*/.exec((await output(program, '--version')) ?? '');
  const remedy = `only hosts of virtual machines need it: QEMU ${OLDEST.join('.')} or newer`;
  if (version === null) return note(`${program} isn't installed`, remedy);
  const [text, major, minor] = version;
  if (Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1])) return note(`${text} is too old for shared memory over vhost-user`, remedy);
  const devices = (await output(program, '-device', 'help')) ?? '';
  return devices.includes(DEVICE) ? ok(`${text} with ${DEVICE}`) : note(`${text} has no ${DEVICE}`, 'use a build that has it, such as Debian\'s');
}
