// The files of a guest's /dev/shm, as the host sees them.

import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestPlace } from './place.js';

/** Files of the guest's /dev/shm with bytes in them, as this system shows them of the host half. */
export function memoryFiles(place: GuestPlace): string[] {
  const folder = `/proc/${place.guest.command.child.pid}/fd`;
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => linkOf(path).startsWith('/memfd:x11bridge-shm'));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed since it was listed.
    return '';
  }
}
