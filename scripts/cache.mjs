// What the scripts fetch and unpack: in the user's cache, outside the repository and the system. To fetch all anew, remove it.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const ABANDONED_MS = 3 * 3_600_000;

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
  removeAbandoned(cache);
  const partial = mkdtempSync(`${final}${partialMark(process.pid)}`);
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

/**
 * Removes what a process has begun, which was killed.
 * @param {number} pid
 */
export function removePartials(pid) {
  const cache = cacheFolder();
  if (!existsSync(cache)) return;
  for (const name of readdirSync(cache).filter((entry) => entry.includes(partialMark(pid)))) rmSync(join(cache, name), { recursive: true, force: true });
}

/** @param {number} pid */
function partialMark(pid) {
  return `.partial-${pid}-`;
}

/** What processes that were killed have left, perhaps in another container; none that still runs takes that long. @param {string} cache */
function removeAbandoned(cache) {
  for (const name of readdirSync(cache).filter((entry) => entry.includes('.partial-'))) {
    const path = join(cache, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}
