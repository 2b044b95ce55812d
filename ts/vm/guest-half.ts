// What starts the bridge's guest half: a Node and an x11bridge that the guest has, for its processor.

import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import type { Share } from './guest-files.js';
import type { GuestParts } from './parts.js';

/** Paths in the guest, and the folders that it has to be shown for them. */
export interface GuestHalf {
  readonly nodeProgram: string;
  readonly entry: string;
  readonly shares: readonly Share[];
}

/** Where systems have Node, and where npm installs what is to be there for everybody. */
const NODE_PATHS = ['/usr/local/bin/node', '/usr/bin/node'];
const MODULE_FOLDERS = ['/usr/local/lib/node_modules', '/usr/lib/node_modules'];
/** From a folder of modules. */
const ENTRY = 'x11bridge/dist/cli/guest.js';

/**
 * Finds both.
 * @param own the entry of this x11bridge, which guests with this machine's files can use
 * @param installed a folder into which npm has installed x11bridge, if the person has named one
 */
export function findGuestHalf({ root, arch }: GuestParts, own: string, installed: string | undefined): Result<GuestHalf, BridgeError> {
  const nodeProgram = root === '/' ? process.execPath : NODE_PATHS.find((path) => isThere(join(root, path)));
  if (nodeProgram === undefined) return missing(`there is no Node in ${root}: install one for ${arch} there as ${NODE_PATHS.join(' or ')}`);
  if (installed !== undefined) {
    const entry = join(installed, 'node_modules', ENTRY);
    if (!isThere(entry)) return missing(`there is no x11bridge in ${installed}: ${installing(arch, installed)}`);
    return ok({ nodeProgram, entry, shares: [{ path: installed, writable: false }] });
  }
  if (root === '/') return ok({ nodeProgram, entry: own, shares: [] });
  const entry = MODULE_FOLDERS.map((folder) => join(folder, ENTRY)).find((path) => isThere(join(root, path)));
  return entry === undefined ? missing(`there is no x11bridge in ${root}: ${installing(arch, 'DIR')}, and name that folder by --package`) : ok({ nodeProgram, entry, shares: [] });
}

function installing(arch: string, folder: string): string {
  return `run "npm install --prefix ${folder} --os=linux --cpu=${arch} --libc=glibc x11bridge"`;
}

/** A link may lead somewhere in the guest only. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function missing(message: string): Result<never, BridgeError> {
  return err(failure('vm-missing', message));
}
