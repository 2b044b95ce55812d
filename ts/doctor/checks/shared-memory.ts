// /dev/shm: where MIT-SHM and fences live. In a guest it can be the host's, by virtiofs with DAX.

import { note, ok, type Check } from '../check.js';

/** One large image with room for a second. */
const FREE_BYTES_MIN = 64 << 20;

export const sharedMemory: Check = {
  name: 'shared-memory',
  title: '/dev/shm',
  linuxOnly: true,
  run: ({ read, access, space }) => {
    if (access('/dev/shm') !== 'usable') return note("/dev/shm isn't there, or can't be written", 'mount a tmpfs there: mount -t tmpfs -o mode=1777 tmpfs /dev/shm');
    const { type, options } = mountOf('/dev/shm', read('/proc/self/mountinfo') ?? '');
    const free = space('/dev/shm')?.free ?? 0;
    if (free < FREE_BYTES_MIN) return note(`only ${Math.round(free / 1024)} KiB are free in /dev/shm`, 'enlarge it: mount -o remount,size=1G /dev/shm');
    if (type !== 'virtiofs') return ok(`${type}: shared by the programs of this machine`);
    if (/\bdax(=(always|inode))?\b/.test(options)) return ok('virtiofs with DAX: shared with the host');
    return note('virtiofs without DAX: files are copied, not shared with the host', 'mount it with -o dax, from a device that has a DAX window');
  },
};

/** The kind and the options of the mount at a path; the last one covers those before. */
function mountOf(path: string, mountinfo: string): { type: string; options: string } {
  const line = mountinfo.split('\n').findLast((mount) => mount.split(' ')[4] === path);
  if (line === undefined) return { type: 'part of the root file system', options: '' };
  const [before = '', after = ''] = line.split(' - ');
  const [type = 'unknown', , superOptions = ''] = after.split(' ');
  return { type, options: `${before.split(' ')[5] ?? ''},${superOptions}` };
}
