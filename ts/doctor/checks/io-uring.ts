// io_uring with futexes: one thread can then wait for many fences.

import { note, ok, type Check } from '../check.js';

/** The first kernel that has IORING_OP_FUTEX_WAIT. */
const KERNEL = [6, 7] as const;

export const ioUring: Check = {
  name: 'io-uring',
  title: 'io_uring futexes',
  linuxOnly: true,
  run: ({ read, fenceWatcher }) => {
    const release = read('/proc/sys/kernel/osrelease')?.trim() ?? '';
    const [major = 0, minor = 0] = release.split('.').map(Number);
    const disabled = read('/proc/sys/kernel/io_uring_disabled')?.trim() ?? '0';
    const chosen = fenceWatcher() ?? 'futex_waitv or threads';
    const otherwise = `fences are watched by ${chosen} instead`;
    if (major < KERNEL[0] || (major === KERNEL[0] && minor < KERNEL[1])) return note(`Linux ${release} has none, ${KERNEL.join('.')} is the first: ${otherwise}`);
    if (disabled === '2') return note(`io_uring is switched off: ${otherwise}`, 'as root: sysctl kernel.io_uring_disabled=0');
    if (disabled === '1') return note(`io_uring is for privileged processes: ${otherwise}`, 'as root: sysctl kernel.io_uring_disabled=0');
    return ok(`Linux ${release} has them; fences are watched by ${chosen}`);
  },
};
