// A kernel of Debian's, and the modules that a guest needs of it, in an archive for its initial file system.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { StepError } from '../setup.mjs';
import { AptTree, unpack } from '../apt-tree.mjs';

/** What a guest uses; the kernel may have some of them built in. */
const WANTED = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay', 'virtio_gpu', 'virtio_net', 'virtiofs', 'vmw_vsock_virtio_transport', 'vsock_loopback'];

/**
 * A kernel that can be had, by the name that people choose it by.
 * @typedef {{ name: string, arch: 'x64' | 'arm64', packageName: string, suites: readonly string[] }} KernelChoice
 */

/** The first is the one that guests get unless another is named. @type {readonly KernelChoice[]} */
export const KERNELS = [
  { name: '6.12', arch: 'x64', packageName: 'linux-image-amd64', suites: ['trixie'] },
  { name: '6.1', arch: 'x64', packageName: 'linux-image-amd64', suites: ['bookworm'] },
  { name: 'newest', arch: 'x64', packageName: 'linux-image-amd64', suites: ['trixie', 'trixie-backports', 'forky', 'sid'] },
  { name: '6.12-arm64', arch: 'arm64', packageName: 'linux-image-arm64', suites: ['trixie'] },
  { name: '6.12-arm64-16k', arch: 'arm64', packageName: 'linux-image-arm64-16k', suites: ['trixie'] },
];

/** Debian's names of processors. */
export const DEBIAN_ARCH = /** @type {const} */ ({ x64: 'amd64', arm64: 'arm64' });

/** @typedef {typeof import('../../dist/vm/cpio.js')} Cpio */

/**
 * Fetches a kernel.
 * @param {KernelChoice} choice
 * @param {string} aptFolder
 * @param {string} folder it then has `vmlinuz`, `modules.cpio` and `release`
 * @param {Cpio} cpio
 */
export function fetchKernel({ arch, packageName, suites }, aptFolder, folder, cpio) {
  const apt = new AptTree(join(aptFolder, `${suites.join('-')}-${arch}`), DEBIAN_ARCH[arch], suites);
  apt.update();
  const version = newest(apt.versions(packageName));
  const tree = join(folder, 'tree');
  unpack(apt.download(kernelPackages(apt, packageName, version)), tree);
  const modules = modulesFolder(tree);
  const release = basename(modules);
  const image = [join(tree, 'boot', `vmlinuz-${release}`), join(modules, 'vmlinuz')].find(isFile);
  if (image === undefined) throw new StepError(`the Debian package ${packageName} ${version} has no kernel in it`);
  renameSync(image, join(folder, 'vmlinuz'));
  writeFileSync(join(folder, 'release'), `${release}\n`);
  writeFileSync(join(folder, 'modules.cpio'), modulesArchive(modules, cpio));
  rmSync(tree, { recursive: true });
}

/**
 * A shell and the usual small programs in one file, for guests of that processor.
 * @param {'x64' | 'arm64'} arch
 * @param {string} aptFolder
 * @param {string} folder it then has `tools.cpio`
 * @param {Cpio} cpio
 */
export function fetchTools(arch, aptFolder, folder, cpio) {
  const apt = new AptTree(join(aptFolder, `trixie-${arch}`), DEBIAN_ARCH[arch], ['trixie']);
  apt.update();
  const tree = join(folder, 'tree');
  unpack(apt.download(['busybox-static']), tree);
  const busybox = ['usr/bin/busybox', 'bin/busybox'].map((path) => join(tree, path)).find(isFile);
  if (busybox === undefined) throw new StepError('the Debian package busybox-static has no busybox in it');
  writeFileSync(join(folder, 'tools.cpio'), cpio.cpioArchive([{ path: 'bin', mode: 0o40_755 }, { path: 'bin/busybox', mode: 0o100_755, data: readFileSync(busybox) }]));
  rmSync(tree, { recursive: true });
}

/**
 * The packages that a package named after no version stands for: the kernel and, where they are apart, its image and its modules.
 * @param {AptTree} apt
 * @param {string} name
 * @param {string} version
 */
function kernelPackages(apt, name, version) {
  const image = apt.dependencies(name, version).find((dependency) => /^linux-image-\d/.test(dependency));
  if (image === undefined) throw new StepError(`the Debian package ${name} ${version} names no kernel`);
  return [image, ...apt.dependencies(image).filter((dependency) => /^linux-(modules|binary)-\d/.test(dependency))];
}

/** @param {readonly string[]} versions */
function newest(versions) {
  const isNewer = (/** @type {string} */ a, /** @type {string} */ b) => {
    try {
      execFileSync('dpkg', ['--compare-versions', a, 'gt', b], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  const [first, ...rest] = versions;
  if (first === undefined) throw new StepError('this Debian mirror has no kernel of that kind');
  return rest.reduce((best, version) => (isNewer(version, best) ? version : best), first);
}

/**
 * The folder of the modules, which has the name of the kernel's release.
 * @param {string} tree
 */
function modulesFolder(tree) {
  const folders = ['usr/lib/modules', 'lib/modules'].map((path) => join(tree, path)).filter((path) => existsSync(path));
  const found = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))[0];
  if (found === undefined) throw new StepError('a Debian package of a kernel has no modules in it');
  return found;
}

/**
 * The wanted modules and those that they need, in the order in which they can be loaded, uncompressed.
 * @param {string} folder
 * @param {Cpio} cpio
 */
function modulesArchive(folder, cpio) {
  const paths = new Map(readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /\.ko(\.xz)?$/.test(path)).map((path) => [moduleName(path), join(folder, path)]));
  /** @type {Map<string, Buffer>} */
  const loaded = new Map();
  const load = (/** @type {string} */ name) => {
    const path = paths.get(name);
    // Without a file it is built in, or this kernel doesn't have it; the guest finds out when it uses it.
    if (path === undefined || loaded.has(name)) return;
    const data = path.endsWith('.xz') ? execFileSync('xz', ['--decompress', '--stdout', path], { maxBuffer: 1 << 28 }) : readFileSync(path);
    for (const needed of dependencies(data)) load(needed);
    loaded.set(name, data);
  };
  for (const name of WANTED) load(name);
  const order = [...loaded.keys()].map((name) => `/modules/${name}.ko\n`).join('');
  return cpio.cpioArchive([
    { path: 'modules', mode: 0o40_755 },
    { path: 'modules/order', mode: 0o100_644, data: Buffer.from(order) },
    ...[...loaded].map(([name, data]) => ({ path: `modules/${name}.ko`, mode: 0o100_644, data })),
  ]);
}

/** @param {string} path */
function moduleName(path) {
  return basename(path).replace(/\.ko(\.xz)?$/, '').replaceAll('-', '_');
}

/**
 * What a module's own description says that it needs.
 * @param {Buffer} data
 */
function dependencies(data) {
  const start = data.indexOf('\0depends=');
  if (start < 0) return [];
  const names = data.toString('latin1', start + '\0depends='.length, data.indexOf(0, start + 1));
  return names.split(',').filter((name) => name !== '').map((name) => name.replaceAll('-', '_'));
}

/** @param {string} path */
function isFile(path) {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
