// The preloaded libraries of crates/testkit/shims: what gives a stock X server DRI3 without a GPU, and lets Mesa use it.

import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, step } from './setup.mjs';

const SOURCES = join(ROOT, 'crates/testkit/shims');
/** Where the libraries are, as `server.so` and `client.so`. */
export const SHIMS = join(ROOT, 'build/shims');

const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-fPIC', '-fno-builtin-strdup', '-fvisibility=hidden', '-shared'];

/** @type {readonly { name: string, include: readonly string[], libraries: readonly string[] }[]} */
const LIBRARIES = [
  { name: 'server', include: ['/usr/include/xorg', '/usr/include/pixman-1'], libraries: ['-lxshmfence'] },
  { name: 'client', include: ['/usr/include/libdrm'], libraries: ['-ldl'] },
];

/** Compiles what is out of date; needs the Debian packages of the group `shims`. */
export function buildShims() {
  mkdirSync(SHIMS, { recursive: true });
  const files = readdirSync(SOURCES).map((file) => join(SOURCES, file));
  for (const { name, include, libraries } of LIBRARIES) {
    const output = join(SHIMS, `${name}.so`);
    const own = files.filter((file) => new RegExp(`/${name}[-\\w]*\\.[ch]$`).test(file));
    if (isNewer(output, own)) continue;
    const sources = own.filter((file) => file.endsWith('.c'));
    step('cc', [...FLAGS, ...include.flatMap((folder) => ['-isystem', folder]), '-o', output, ...sources, ...libraries]);
  }
}

/**
 * @param {string} output
 * @param {readonly string[]} sources
 */
function isNewer(output, sources) {
  const made = statSync(output, { throwIfNoEntry: false });
  return made !== undefined && sources.every((source) => statSync(source).mtimeMs < made.mtimeMs);
}
