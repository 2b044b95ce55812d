// libxshmfence: programs that draw with the GPU make their fences with it.

import { note, ok, type Check } from '../check.js';

const FILE = 'libxshmfence.so.1';
const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/lib64', '/lib'];

export const xshmfence: Check = {
  name: 'xshmfence',
  title: 'libxshmfence',
  linuxOnly: true,
  run: ({ read, env }) => {
    const path = FOLDERS.map((folder) => `${folder}/${FILE}`).find((candidate) => read(candidate) !== undefined);
    if (path === undefined) return note('not installed: programs that draw with the GPU bring it along', 'on Debian: apt-get install libxshmfence1');
    const knows = (read(path) ?? '').includes('XSHMFENCE_NO_MEMFD');
    const set = env['XSHMFENCE_NO_MEMFD'] !== undefined;
    if (!knows) return note(`${path} keeps fences in memory of their own, whatever XSHMFENCE_NO_MEMFD says: it is older than 1.3.3`);
    return ok(`${path} keeps fences in ${set ? '/dev/shm, as XSHMFENCE_NO_MEMFD is set' : 'memory of their own; XSHMFENCE_NO_MEMFD=1 would put them in /dev/shm'}`);
  },
};
