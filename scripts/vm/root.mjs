// The files of small systems for guests that can't use this machine's: Debian's C library and programs, Node, and npm.

import { chmodSync, copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptTree, unpack } from '../apt-tree.mjs';
import { npmPackage } from '../npm-fetch.mjs';
import { nodeOf } from '../packaging/node-lines.mjs';

/**
 * What a system is made of, by Debian's names.
 * @typedef {object} RootChoice
 * @property {readonly string[]} suites
 * @property {readonly string[]} programs with all that they depend on
 * @property {readonly string[]} alone without: some of their dependencies are for what guests don't need
 */

/** X11 clients. Of the suite that the tests' programs outside are of: only the same program draws the same picture. @type {RootChoice} */
export const CLIENTS = {
  suites: ['bookworm', 'bookworm-security'],
  programs: ['coreutils', 'x11-apps', 'xterm', 'xclip', 'faketime', 'libstdc++6'],
  // x11-utils depends on the whole of Mesa, for xdriinfo.
  alone: ['dash', 'grep', 'sed', 'x11-utils', 'libxcomposite1', 'libxinerama1', 'libxtst6', 'libxrandr2', 'libxv1', 'libxxf86vm1', 'libxxf86dga1', 'libxcb-shape0'],
};
/** Xwayland 24.1, a compositor for it, and Mesa. @type {RootChoice} */
export const XWAYLAND = {
  suites: ['trixie'],
  programs: ['coreutils', 'xwayland', 'mesa-utils', 'libinput10', 'libpangocairo-1.0-0', 'libwebp7', 'libjpeg62-turbo', 'libpam0g'],
  // Weston's other back ends depend on all codecs that there are.
  alone: ['base-files', 'dash', 'grep', 'sed', 'weston', 'libweston-14-0'],
};
/** Documentation, and what only installs. */
const UNUSED = new Set(['man-db', 'groff-base', 'debconf', 'bsdextrautils', 'sysvinit-utils', 'lsb-base']);
/** The oldest that x11bridge runs in starts fastest. */
const NODE_LINE = '20';
const NPM_LINE = '10';

/**
 * Fetches such files.
 * @param {RootChoice} choice
 * @param {'x64' | 'arm64'} arch
 * @param {import('../apt-tree.mjs').DebianArch} debianArch
 * @param {string} aptFolder
 * @param {string} folder where they are put
 */
export function fetchRoot({ suites, programs, alone }, arch, debianArch, aptFolder, folder) {
  const apt = new AptTree(join(aptFolder, `root-${suites.join('-')}-${arch}`), debianArch, suites);
  apt.update();
  const needed = new Set([...programs.flatMap((name) => apt.closure(name)), ...alone]);
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
