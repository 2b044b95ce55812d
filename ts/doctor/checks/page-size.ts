// The size of a page: shared memory comes in multiples of it, on both sides.

import { note, ok, type Check } from '../check.js';

export const pageSize: Check = {
  name: 'page-size',
  title: 'page size',
  linuxOnly: true,
  run: ({ read }) => {
    const kib = /^KernelPageSize:\s+(\d+) kB$/m.exec(read('/proc/self/smaps') ?? '')?.[1];
    if (kib === undefined) return note('not known: /proc/self/smaps says nothing');
    if (kib === '4') return ok('4 KiB');
    return note(`${kib} KiB: shared memory of a host with another size is rounded up to it`);
  },
};
