// What the tests have in C: libraries to preload, which give a stock X server DRI3 without a GPU and let Mesa use it, clients of
// libxcb, and a program that maps files.

import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, step } from './setup.mjs';

/** Where they are: `server.so`, `client.so`, `segments`, `fences` and `dev-shm`. */
export const SHIMS = join(ROOT, 'build/shims');

const FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror'];
const LIBRARY = ['-fPIC', '-fno-builtin-strdup', '-fvisibility=hidden', '-shared'];

/** @type {readonly { output: string, folder: string, name: string, flags: readonly string[], libraries: readonly string[] }[]} */
const ARTIFACTS = [
  { output: 'server.so', folder: 'shims', name: 'server', flags: [...LIBRARY, '-isystem', '/usr/include/xorg', '-isystem', '/usr/include/pixman-1'], libraries: ['-lxshmfence'] },
  { output: 'client.so', folder: 'shims', name: 'client', flags: [...LIBRARY, '-isystem', '/usr/include/libdrm'], libraries: ['-ldl'] },
  { output: 'segments', folder: 'programs', name: 'segments', flags: [], libraries: ['-lxcb-shm', '-lxcb'] },
  { output: 'fences', folder: 'programs', name: 'fences', flags: [], libraries: ['-lxshmfence', '-lxcb'] },
  { output: 'dev-shm', folder: 'programs', name: 'dev-shm', flags: [], libraries: [] },
];

/** Compiles what is out of date; needs the Debian packages of the group `shims`. */
export function buildShims() {
  mkdirSync(SHIMS, { recursive: true });
  for (const { output, folder, name, flags, libraries } of ARTIFACTS) {
    const sources = join(ROOT, 'crates/testkit', folder);
    const files = readdirSync(sources).filter((file) => new RegExp(`^${name}[-\\w]*\\.[ch]$`).test(file)).map((file) => join(sources, file));
    const target = join(SHIMS, output);
    if (isNewer(target, files)) continue;
    step('cc', [...FLAGS, ...flags, '-o', target, ...files.filter((file) => file.endsWith('.c')), ...libraries]);
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
