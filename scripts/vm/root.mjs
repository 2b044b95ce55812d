// The files of a small system for guests that can't use this machine's: Debian's C library and X11 clients, Node, and npm.

import { chmodSync, copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptTree, unpack } from '../apt-tree.mjs';
import { npmPackage } from '../npm-fetch.mjs';
import { nodeOf } from '../packaging/node-lines.mjs';

/** The one that the tests' programs outside are of: only the same program draws the same picture. */
const SUITES = ['bookworm', 'bookworm-security'];
/** With all that they depend on. */
const PROGRAMS = ['coreutils', 'x11-apps', 'xterm', 'xclip', 'faketime', 'libstdc++6'];
/** Without: some of their dependencies are for what guests don't need, such as the whole of Mesa for xdriinfo. */
const ALONE = ['dash', 'grep', 'sed', 'x11-utils', 'libxcomposite1', 'libxinerama1', 'libxtst6', 'libxrandr2', 'libxv1', 'libxxf86vm1', 'libxxf86dga1', 'libxcb-shape0'];
/** Documentation, and what only installs. */
const UNUSED = new Set(['man-db', 'groff-base', 'debconf', 'bsdextrautils', 'sysvinit-utils', 'lsb-base']);
/** The oldest that x11bridge runs in starts fastest. */
const NODE_LINE = '20';
const NPM_LINE = '10';

/**
 * Fetches such files.
 * @param {'x64' | 'arm64'} arch
 * @param {import('../apt-tree.mjs').DebianArch} debianArch
 * @param {string} aptFolder
 * @param {string} folder where they are put
 */
export function fetchRoot(arch, debianArch, aptFolder, folder) {
  const apt = new AptTree(join(aptFolder, `root-${arch}`), debianArch, SUITES);
  apt.update();
  const needed = new Set([...PROGRAMS.flatMap((name) => apt.closure(name)), ...ALONE]);
  unpack(apt.download([...needed].filter((name) => !UNUSED.has(name))), folder);
  addNode(arch, join(folder, 'usr/local'));
  // What installing the packages would have made.
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\n');
  mkdirSync(join(folder, 'root'), { recursive: true });
}

/** @param {'x64' | 'arm64'} arch @param {string} prefix as npm means it */
function addNode(arch, prefix) {
  const [programs, modules] = [join(prefix, 'bin'), join(prefix, 'lib/node_modules')];
  for (const made of [programs, modules]) mkdirSync(made, { recursive: true });
  copyFileSync(nodeOf(NODE_LINE, arch), join(programs, 'node'));
  chmodSync(join(programs, 'node'), 0o755);
  cpSync(npmPackage('npm', NPM_LINE), join(modules, 'npm'), { recursive: true });
  for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(programs, name));
}
