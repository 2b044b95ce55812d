// The parts that a guest is made of: a QEMU that is new enough, a kernel with its modules, and tools for the first process.

import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { err, ok, safeTry, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import { readManifest, vmCacheFolder, type GuestArch, type VmManifest } from './cache.js';
import type { VmOptions } from './options.js';

/** Paths of what a guest is made of. */
export interface GuestParts {
  readonly arch: GuestArch;
  readonly qemu: string;
  readonly kernel: string;
  /** undefined: the kernel has everything built in. */
  readonly modules: string | undefined;
  readonly tools: string;
  /** The folder whose files are the guest's. */
  readonly root: string;
  /** Where results may be remembered; perhaps it isn't there. */
  readonly cache: string;
}

/** The device that our host half stands behind, and the first QEMU that has it. */
const DEVICE = 'vhost-user-test-device-pci';
const VERSION_MIN = '11.1';
/** The kernel that guests get unless another is named. */
const USUAL_KERNEL: Readonly<Record<string, string>> = { x64: '6.12', arm64: '6.12-arm64' };
/** A guard: QEMU lists its devices in much less. */
const LIST_LIMIT_MS = 20_000;
const REMEDY = 'run "npm run vm:setup" in a checkout of x11bridge';
/** For what is only needed by guests with another processor. */
const REMEDY_FOREIGN = REMEDY.replace('vm:setup', 'vm:setup -- --all');

/** Finds the parts, in the cache where no option names another. */
export function findParts({ qemu, kernel, root }: Pick<VmOptions, 'qemu' | 'kernel' | 'root'>, env: NodeJS.ProcessEnv): Result<GuestParts, BridgeError> {
  const cache = vmCacheFolder(env);
  const manifest = readManifest(cache);
  return safeTry(function* () {
    const chosen = yield* kernel === undefined ? usualKernel(cache, manifest) : namedKernel(kernel, cache, manifest);
    const { arch } = chosen;
    const remedy = arch === process.arch ? REMEDY : REMEDY_FOREIGN;
    const tools = yield* part(cache, manifest.tools[arch], 'the tools for the guest', '', remedy);
    const program = yield* qemu === undefined ? part(cache, manifest.qemu[arch], `QEMU for ${arch}`, ', or name one with --qemu', remedy) : checkedQemu(qemu);
    const modules = join(dirname(chosen.image), 'modules.cpio');
    const files = yield* root === undefined ? usualRoot(arch, cache, manifest) : namedRoot(root);
    return ok({ arch, qemu: program, kernel: chosen.image, modules: existsSync(modules) ? modules : undefined, tools, root: files, cache });
  });
}

interface Kernel {
  readonly image: string;
  readonly arch: GuestArch;
}

function usualKernel(cache: string, manifest: VmManifest): Result<Kernel, BridgeError> {
  const folder = manifest.kernels[USUAL_KERNEL[process.arch] ?? '']?.folder;
  return part(cache, folder && join(folder, 'vmlinuz'), 'a kernel', ', or name one with --kernel').andThen(kernelOf);
}

function part(cache: string, path: string | undefined, what: string, otherwise = '', remedy = REMEDY): Result<string, BridgeError> {
  const whole = path && join(cache, path);
  return whole && existsSync(whole) ? ok(whole) : err(failure('vm-missing', `${what} for virtual machines is missing in ${cache}: ${remedy}${otherwise}`));
}

/** @param name a path, or what it is called in the cache */
function namedKernel(name: string, cache: string, { kernels }: VmManifest): Result<Kernel, BridgeError> {
  const fetched = Object.hasOwn(kernels, name) ? kernels[name] : undefined;
  const path = fetched === undefined ? name : join(cache, fetched.folder);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return err(failure('vm-missing', `there is no kernel ${path}: name its image, a folder with the file vmlinuz, or one of those that "npm run vm:setup -- --all" fetches`));
  return kernelOf(stats.isDirectory() ? join(path, 'vmlinuz') : path);
}

/** This machine's files are of use only to guests with its processor. */
function usualRoot(arch: GuestArch, cache: string, { roots }: VmManifest): Result<string, BridgeError> {
  return arch === process.arch ? ok('/') : part(cache, roots[arch], `a system for ${arch}`, ', or name a folder with one by --root', REMEDY_FOREIGN);
}

function namedRoot(path: string): Result<string, BridgeError> {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder ? ok(path) : err(failure('vm-missing', `there is no folder ${path}: name one with the files of a system by --root`));
}

/** Kernels for x64 have a mark in their header; of those that we can start, the others are for arm64. */
function kernelOf(image: string): Result<Kernel, BridgeError> {
  const header = Buffer.alloc(0x206);
  try {
    const file = openSync(image, 'r');
    readSync(file, header, 0, header.length, 0);
    closeSync(file);
  } catch (error) {
    return err(failure('vm-missing', `the kernel ${image} can't be read (${String(error)}): name another one with --kernel`));
  }
  return ok({ image, arch: header.toString('latin1', 0x202) === 'HdrS' ? 'x64' : 'arm64' });
}

function checkedQemu(program: string): Result<string, BridgeError> {
  const { stdout, stderr, status, error } = spawnSync(program, ['-device', 'help'], { encoding: 'utf8', timeout: LIST_LIMIT_MS });
  if (error) return err(failure('vm-missing', `QEMU can't be started as ${program} (${error.message}): check the path that --qemu names`));
  if (status !== 0) return err(failure('vm-missing', `the QEMU ${program} does not start (${said(stderr)}): install what it lacks, or name another one with --qemu`));
  if (stdout.includes(`"${DEVICE}"`)) return ok(program);
  const version = /version (\S+)/.exec(spawnSync(program, ['--version'], { encoding: 'utf8', timeout: LIST_LIMIT_MS }).stdout ?? '')?.[1] ?? 'of unknown version';
  return err(failure('vm-missing', `the QEMU ${program} (${version}) has no device ${DEVICE}: QEMU ${VERSION_MIN} or newer is needed, which ${REMEDY.replace('run', 'you get when you run')}`));
}

/** The first line of what a program said, for the middle of a sentence. */
function said(stderr: string): string {
  return stderr.trim().split('\n')[0] || 'it says nothing';
}
