// `npm run vm:setup`: fetches what `x11bridge vm` needs into a cache outside the repository: QEMU, a kernel, and tools for the guest.
// `npm run vm:setup -- --all` fetches every kernel that the tests use, those for another processor with a QEMU and a small system for it,
// and a system with Xwayland. All are packages of Debian's, from the mirror that this machine uses itself, with their signatures checked,
// but for the systems' Node and npm, which are from npm's registry; nothing is installed. What is there already is not fetched again.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runScript, setup, StepError } from './setup.mjs';
import { AptFailure } from './apt-tree.mjs';
import { DEBIAN_ARCH, fetchKernel, fetchTools, KERNELS } from './vm/kernel.mjs';
import { fetchQemu, SYSTEMS } from './vm/qemu.mjs';
import { CLIENTS, fetchRoot, XWAYLAND } from './vm/root.mjs';

/** Each goes up when what is made of the packages changes, so that older results aren't used. */
const RECIPES = { qemu: 1, tools: 1, linux: 2, root: 1 };
/** What can be asked for by name: kernels, and the system with Xwayland. */
export const NAMES = [...KERNELS.map(({ name }) => name), 'xwayland'];
const LOCKED = 'X11BRIDGE_VM_SETUP_LOCKED';
/** The exit code of the process that holds the lock, when Debian's packages can't be had. */
const UNAVAILABLE = 75;

/** QEMU or a kernel can't be had here, for no fault of ours. */
export class Unavailable extends StepError {}

/**
 * Brings everything for guests with these kernels and systems. Two may do so at once: the second waits, and finds it done.
 * @param {readonly string[]} names some of NAMES
 * @throws {StepError} when it can't
 */
export async function setUpVm(names = [KERNELS[0]?.name ?? '']) {
  const { manifestPath, readManifest, vmCacheFolder } = await import('../dist/vm/cache.js');
  const cache = vmCacheFolder(env);
  if (isComplete(cache, readManifest(cache), names)) return;
  mkdirSync(cache, { recursive: true });
  // The lock goes when its holder does, however that ends.
  const done = spawnSync('flock', [join(cache, 'lock'), execPath, fileURLToPath(import.meta.url), ...names], { stdio: 'inherit', env: { ...env, [LOCKED]: '1' } });
  if (done.status === UNAVAILABLE) throw new Unavailable('QEMU and a kernel could not be fetched; why is above');
  if (done.status !== 0 || !existsSync(manifestPath(cache))) throw new StepError('the set-up for virtual machines failed; why is above');
}

/** @param {readonly string[]} names */
async function setUpLocked(names) {
  const { manifestPath, readManifest, vmCacheFolder } = await import('../dist/vm/cache.js');
  const cpio = await import('../dist/vm/cpio.js');
  const cache = vmCacheFolder(env);
  const aptFolder = join(cache, 'apt');
  const manifest = readManifest(cache);
  const found = { qemu: { ...manifest.qemu }, tools: { ...manifest.tools }, kernels: { ...manifest.kernels }, roots: { ...manifest.roots } };
  for (const choice of KERNELS.filter(({ name }) => names.includes(name))) {
    const { arch, name } = choice;
    found.qemu[arch] = `${part(cache, 'qemu', arch, (folder) => fetchQemu(SYSTEMS[arch], aptFolder, folder))}/${SYSTEMS[arch].program}`;
    found.tools[arch] = `${part(cache, 'tools', arch, (folder) => fetchTools(arch, aptFolder, folder, cpio))}/tools.cpio`;
    if (arch !== process.arch) found.roots[arch] = part(cache, 'root', arch, (folder) => fetchRoot(CLIENTS, arch, DEBIAN_ARCH[arch], aptFolder, folder));
    found.kernels[name] = { arch, folder: part(cache, 'linux', name, (folder) => fetchKernel(choice, aptFolder, folder, cpio)) };
    writeWhole(manifestPath(cache), JSON.stringify(found, null, 2));
  }
  if (names.includes('xwayland')) {
    found.roots.xwayland = part(cache, 'root', 'xwayland', (folder) => fetchRoot(XWAYLAND, 'x64', DEBIAN_ARCH.x64, aptFolder, folder));
    writeWhole(manifestPath(cache), JSON.stringify(found, null, 2));
  }
  // The packages themselves aren't needed any more.
  rmSync(aptFolder, { recursive: true, force: true });
}

/**
 * Makes one folder of the cache, unless it is there: under another name first, so that there is no half of one.
 * @param {string} cache
 * @param {keyof typeof RECIPES} kind
 * @param {string} which
 * @param {(folder: string) => void} fetch
 * @returns {string} its name in the cache
 */
function part(cache, kind, which, fetch) {
  const name = `${kind}-${which}`;
  const final = `${name}-r${RECIPES[kind]}`;
  if (existsSync(join(cache, final))) return final;
  console.log(`Fetching ${name} into ${cache} …`);
  // Guests of an older checkout may still use the one before.
  const old = readdirSync(cache).filter((entry) => entry.startsWith(`${name}-r`) && entry !== `${name}-r${RECIPES[kind] - 1}`);
  for (const entry of old) rmSync(join(cache, entry), { recursive: true, force: true });
  const partial = join(cache, `${final}.partial`);
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  fetch(partial);
  renameSync(partial, join(cache, final));
  return final;
}

/**
 * @param {string} cache
 * @param {import('../dist/vm/cache.js').VmManifest} manifest
 * @param {readonly string[]} names
 */
function isComplete(cache, manifest, names) {
  /** @type {[keyof typeof RECIPES, string | undefined][]} */
  const paths = names.includes('xwayland') ? [['root', manifest.roots.xwayland]] : [];
  for (const { name, arch } of KERNELS.filter((kernel) => names.includes(kernel.name))) {
    paths.push(['qemu', manifest.qemu[arch]], ['tools', manifest.tools[arch]], ['linux', manifest.kernels[name]?.folder]);
    if (arch !== process.arch) paths.push(['root', manifest.roots[arch]]);
  }
  return paths.every(([kind, path]) => path?.split('/')[0]?.endsWith(`-r${RECIPES[kind]}`) && existsSync(join(cache, path)));
}

/** @param {string} path @param {string} text */
function writeWhole(path, text) {
  writeFileSync(`${path}.partial`, `${text}\n`);
  renameSync(`${path}.partial`, path);
}

/** @param {Promise<void>} work */
async function codeOf(work) {
  try {
    await work;
    return 0;
  } catch (error) {
    if (!(error instanceof AptFailure)) throw error;
    console.error(error.message);
    return UNAVAILABLE;
  }
}

/** @param {readonly string[]} args */
async function main(args) {
  if (env[LOCKED] === '1') return codeOf(setUpLocked(args));
  const unknown = args.find((arg) => arg !== '--all' && !NAMES.includes(arg));
  if (unknown !== undefined) throw new StepError(`There is no kernel and no system named ${unknown}; there are ${NAMES.join(', ')}, and --all.`);
  await setup({ debian: ['fetch'] });
  const named = args.filter((arg) => arg !== '--all');
  await setUpVm(args.includes('--all') ? NAMES : named.length > 0 ? named : undefined);
  const { manifestPath, vmCacheFolder } = await import('../dist/vm/cache.js');
  console.log(`Ready for x11bridge vm: ${readFileSync(manifestPath(vmCacheFolder(env)), 'utf8')}`);
  return 0;
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) void runScript(() => main(argv.slice(2)));
