// The machine that packages are built on. The cross compilers of npm run on x64; on arm64, Debian's own link with the C libraries that those
// bring.

import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cached } from '../cache.mjs';
import { StepError } from '../setup.mjs';

/** @typedef {import('./platforms.mjs').Platform} Platform */

/** Processors that packages are built on, as Debian names them. @type {Readonly<Record<string, import('../apt-tree.mjs').DebianArch>>} */
const DEBIAN_ARCHES = { x64: 'amd64', arm64: 'arm64' };

/**
 * This machine's processor as Debian names it.
 * @param {string} [cpu] as Node names it
 */
export function hostArch(cpu = process.arch) {
  const arch = DEBIAN_ARCHES[cpu];
  if (arch === undefined) throw new StepError(`Packages are built on x64 or arm64, and this is ${cpu}; "npm run build" builds for this machine.`);
  return arch;
}

/**
 * The groups of Debian packages that a build on this machine needs.
 * @param {string} [cpu]
 * @returns {readonly string[]}
 */
export function debianGroups(cpu = process.arch) {
  return hostArch(cpu) === 'arm64' ? ['fetch', 'cross'] : ['fetch'];
}

/**
 * gcc and what belongs to it, for a platform.
 * @param {Platform} platform
 * @param {string} toolchain the folder of npm's gcc for it
 * @param {string} cpu of the machine that links
 * @returns {{ gcc: string, linker: string, objcopy: string }} `linker` links with glibc 2.17 or older
 */
export function gccFor({ triple }, toolchain, cpu) {
  const gnu = triple.replace('musl', 'gnu');
  if (hostArch(cpu) === 'amd64') {
    const tools = join(toolchain, 'bin', gnu);
    return { gcc: `${tools}-gcc`, linker: `${tools}-gcc`, objcopy: `${tools}-objcopy` };
  }
  const debian = gnu.replace('-unknown', '');
  return { gcc: `${debian}-gcc`, linker: sysrootLinker(gnu, `${debian}-gcc`, toolchain), objcopy: `${debian}-objcopy` };
}

/**
 * A program that links as a gcc of this machine does, but with the C library of npm's.
 * @param {string} triple with glibc
 * @param {string} gcc
 * @param {string} toolchain the folder of npm's gcc, in the cache
 * @returns {string} its path
 */
function sysrootLinker(triple, gcc, toolchain) {
  const folder = cached(`linker-${triple}-${basename(toolchain)}`, (partial) => {
    const script = `#!/bin/sh
root=\${0%/*}/../${basename(toolchain)}/${triple}/sysroot
exec ${gcc} --sysroot="$root" -B"$root/usr/lib64/" -L"$root/usr/lib64" -L"$root/lib64" "$@"
`;
    writeFileSync(join(partial, 'gcc'), script, { mode: 0o755 });
  });
  return join(folder, 'gcc');
}
