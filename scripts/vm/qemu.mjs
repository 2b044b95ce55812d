// A QEMU that is new enough, with every library that it needs, in a folder that can be moved.

import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StepError } from '../setup.mjs';
import { AptFailure, AptTree, unpack } from '../apt-tree.mjs';

/** The suites of Debian that may have a QEMU that is new enough, by the age of what they bring along. */
const SUITES = /** @type {const} */ ([
  { suites: ['trixie', 'trixie-backports'], target: 'trixie-backports' },
  { suites: ['forky'], target: 'forky' },
  { suites: ['sid'], target: 'sid' },
]);
/** The first with vhost-user-test-device-pci and shared memory regions in vhost-user. */
const VERSION_MIN = [11, 1];
/** What a machine with a console, disks and network cards of the virtio kind needs of it all. */
const KEPT = /^usr(\/(bin|share))?$|^usr\/(bin\/qemu-system-(x86_64|aarch64)|lib(64)?(\/.*)?|share\/(qemu|seabios)(\/.*)?)$/;

/** @typedef {{ packageName: string, program: string }} System which QEMU: one emulates one kind of processor */

/** @type {Readonly<Record<'x64' | 'arm64', System>>} */
export const SYSTEMS = {
  x64: { packageName: 'qemu-system-x86', program: 'qemu-system-x86_64' },
  arm64: { packageName: 'qemu-system-arm', program: 'qemu-system-aarch64' },
};

/**
 * Fetches the QEMU for guests of one kind of processor.
 * @param {System} system
 * @param {string} aptFolder
 * @param {string} folder where it is put; the program in it has the system's name
 */
export function fetchQemu({ packageName, program }, aptFolder, folder) {
  for (const { suites, target } of SUITES) {
    const apt = new AptTree(join(aptFolder, target), 'amd64', suites);
    apt.update();
    const [newest = ''] = apt.versions(packageName);
    if (!isNewEnough(newest)) continue;
    unpack(apt.downloadClosure(packageName, target), folder);
    prune(folder, '');
    writeLauncher(folder, program);
    assertRuns(join(folder, program));
    return;
  }
  throw new AptFailure(`no suite of this Debian mirror has QEMU ${VERSION_MIN.join('.')} or newer: name another mirror in the machine's apt sources`);
}

/** @param {string} launcher */
function assertRuns(launcher) {
  const { stdout, stderr } = spawnSync(launcher, ['-device', 'help'], { encoding: 'utf8' });
  if (!stdout.includes('"vhost-user-test-device-pci"')) throw new StepError(`the QEMU that was fetched doesn't run here or lacks vhost-user-test-device-pci: ${stderr.trim()}`);
}

/** @param {string} version as Debian writes it, such as 1:11.1.3+ds-1 */
function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^\d+:/, '').split('.').map((part) => Number.parseInt(part, 10));
  const [majorMin = 0, minorMin = 0] = VERSION_MIN;
  return major > majorMin || (major === majorMin && minor >= minorMin);
}

/** @param {string} root @param {string} folder relative to it */
function prune(root, folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!KEPT.test(path)) rmSync(join(root, path), { recursive: true, force: true });
    else if (entry.isDirectory() && /^usr(\/(bin|share))?$/.test(path)) prune(root, path);
  }
}

/**
 * It has to run with the loader and the libraries of its own suite, whatever the machine has.
 * @param {string} folder
 * @param {string} program
 */
function writeLauncher(folder, program) {
  const libraries = '"$tree/usr/lib/x86_64-linux-gnu"';
  const text = `#!/bin/sh
tree=$(dirname "$(readlink -f "$0")")
export QEMU_MODULE_DIR=${libraries}/qemu
exec ${libraries}/ld-linux-x86-64.so.2 --library-path ${libraries} --argv0 ${program} "$tree/usr/bin/${program}" \\
  -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
`;
  writeFileSync(join(folder, program), text, { mode: 0o755 });
}
