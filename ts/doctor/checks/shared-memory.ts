// /dev/shm: where MIT-SHM and fences live. In a guest it can be the host's, by virtiofs with DAX.

import { note, ok, type Check } from '../check.js';

/** One large image with room for a second. */
const FREE_BYTES_MIN = 64 << 20;

export const sharedMemory: Check = {
  name: 'shared-memory',
  title: '/dev/shm',
  linuxOnly: true,
  run: ({ read, access, space, sharing }) => {
    if (access('/dev/shm') !== 'usable') return note("/dev/shm isn't there, or can't be written", 'mount a tmpfs there: mount -t tmpfs -o mode=1777 tmpfs /dev/shm');
    const type = typeOfMount('/dev/shm', read('/proc/self/mountinfo') ?? '');
    const free = space('/dev/shm')?.free ?? 0;
    if (free < FREE_BYTES_MIN) return note(`only ${Math.round(free / 1024)} KiB are free in /dev/shm`, 'enlarge it: mount -o remount,size=1G /dev/shm');
    if (type !== 'virtiofs') return ok(`${type}: shared by the programs of this machine`);
    const { isShared, hasNames } = sharing('/dev/shm') ?? NOTHING;
    if (!isShared) return note('virtiofs without DAX: files are copied, not shared with the host', 'mount it with -o dax=inode, from a device that has a DAX window, with a kernel that has FUSE_DAX');
    if (!hasNames) return note('virtiofs with DAX, whose files have no names on the host', 'take a host that names them, as x11bridge host does');
    return ok('virtiofs with DAX: shared with the host, which knows open files by name');
  },
};

/** What a folder offers in which no file can be made. */
const NOTHING = { isShared: false, hasNames: false } as const;

/** The kind of the mount at a path; the last one covers those before. */
function typeOfMount(path: string, mountinfo: string): string {
  const line = mountinfo.split('\n').findLast((mount) => mount.split(' ')[4] === path);
  if (line === undefined) return 'part of the root file system';
  return line.split(' - ')[1]?.split(' ')[0] ?? 'unknown';
}
