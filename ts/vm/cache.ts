// What `npm run vm:setup` has put into the cache: QEMU, kernels, and a small set of tools for the guest.

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A processor that guests can have, by Node's names. */
export type GuestArch = 'x64' | 'arm64';

/** The list of what is there; every path is relative to the cache. */
export interface VmManifest {
  /** The programs that emulate each processor. */
  readonly qemu: Partial<Record<GuestArch, string>>;
  /** Archives with the tools of the guest's first process. */
  readonly tools: Partial<Record<GuestArch, string>>;
  /** Folders of kernels, by the name that people choose them by. */
  readonly kernels: Readonly<Record<string, { readonly arch: GuestArch; readonly folder: string }>>;
  /** Folders with the files of a whole system: for guests with another processor than this machine's, and, for tests, one with Xwayland. */
  readonly roots: Partial<Record<GuestArch | 'xwayland', string>>;
}

const NOTHING: VmManifest = { qemu: {}, tools: {}, kernels: {}, roots: {} };

/** The folder of the cache, whether it is there or not. */
export function vmCacheFolder(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_CACHE_HOME'];
  return join(base?.startsWith('/') ? base : join(env['HOME'] ?? homedir(), '.cache'), 'x11bridge', 'vm');
}

/** Where the list is. */
export function manifestPath(cache: string): string {
  return join(cache, 'vm.json');
}

/** What the cache has; nothing where the list is missing or can't be read, as the remedy is the same. */
export function readManifest(cache: string): VmManifest {
  const path = manifestPath(cache);
  if (!existsSync(path)) return NOTHING;
  try {
    return { ...NOTHING, ...(JSON.parse(readFileSync(path, 'utf8')) as VmManifest) };
  } catch {
    return NOTHING;
  }
}
