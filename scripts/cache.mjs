// What the scripts fetch and unpack: in the user's cache, outside the repository and the system. To fetch all anew, remove it.

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The folder of the cache, whether it is there or not. */
export function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME;
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'x11bridge', 'build');
}

/**
 * A folder of the cache; it is made when it is missing. There is never half of one: it is made under another name, and removed
 * when that fails. When two processes make it at once, the first to finish wins.
 * @param {string} name has to change when what is made changes
 * @param {(folder: string) => void} make fills an empty folder, in which nothing may depend on its own path
 * @returns {string} its path
 */
export function cached(name, make) {
  const cache = cacheFolder();
  const final = join(cache, name);
  if (existsSync(final)) return final;
  console.log(`Fetching ${name} into ${cache} …`);
  mkdirSync(cache, { recursive: true });
  const partial = mkdtempSync(`${final}.partial-`);
  try {
    make(partial);
    renameSync(partial, final);
  } catch (error) {
    if (!existsSync(final)) throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return final;
}
