// How many files may be open: every client needs a few.

import { note, ok, type Check } from '../check.js';

/** The client's socket, the server's, and on channels of virtual machines a device, a ring and an eventfd. */
const FILES_PER_CLIENT = 6;

export const openFiles: Check = {
  name: 'open-files',
  title: 'open files',
  linuxOnly: true,
  run: ({ read, settings }) => {
    const limit = /^Max open files\s+(\d+)/m.exec(read('/proc/self/limits') ?? '')?.[1];
    if (limit === undefined) return note('the limit is not known');
    const clients = settings.map(({ clientsMax }) => clientsMax ?? 512).unwrapOr(512);
    const needed = clients * FILES_PER_CLIENT;
    if (Number(limit) >= needed) return ok(`${limit} may be open, enough for ${clients} clients`);
    return note(`${limit} may be open, too few for ${clients} clients at once`, `raise it with "ulimit -n ${needed}", or lower --clients-max`);
  },
};
