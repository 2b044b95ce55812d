// The machine that this process runs on.

import { execFile } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readdirSync, readlinkSync, readSync, statfsSync } from 'node:fs';
import { Result } from 'neverthrow';
import type { ResolvedSettings } from '../config/options.js';
import type { BridgeError } from '../errors.js';
import { addonVersion, examineSharing, fenceWatcher, virtgpuOffer } from '../native/index.js';
import { rememberedKvm } from '../vm/acceleration.js';
import { findParts, type GuestParts } from '../vm/parts.js';
import type { Machine } from './check.js';
import { tryBridge, type Trial } from './trial.js';

const FILE_BYTES_MAX = 1 << 20;
/** No program that is asked for its version takes a tenth of it. */
const PROGRAM_MS_MAX = 10_000;

/** @param settings those that `serve` would have */
export function thisMachine(settings: Result<ResolvedSettings, BridgeError>, env: NodeJS.ProcessEnv): Machine {
  let trial: Promise<Trial> | undefined;
  return {
    platform: process.platform,
    arch: process.arch,
    nodeVersion: process.versions.node,
    env,
    settings,
    read: (path) => attempt(() => read(path)),
    list: (path) => attempt(() => readdirSync(path).toSorted()) ?? [],
    link: (path) => attempt(() => readlinkSync(path)),
    access,
    space: (path) => attempt(() => space(path)),
    output,
    addon: addonVersion,
    virtgpu: virtgpuOffer,
    fenceWatcher,
    kvmBoots: () => guestParts(env).map(rememberedKvm).unwrapOr(undefined),
    fetchedQemu: () => guestParts(env).map(({ qemu }) => qemu).unwrapOr(undefined),
    sharing: examineSharing,
    trial: () => (trial ??= tryBridge(settings, env)),
  };
}

/** What `x11bridge vm` would take. */
function guestParts(env: NodeJS.ProcessEnv): Result<GuestParts, BridgeError> {
  return findParts({ qemu: undefined, kernel: undefined, root: undefined }, env);
}

function attempt<Value>(act: () => Value): Value | undefined {
  return Result.fromThrowable(act)().unwrapOr(undefined);
}

/** Not readFileSync: a pipe would block, and what isn't a plain file has no size. */
function read(path: string): string {
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const bytes = Buffer.alloc(FILE_BYTES_MAX);
    let length = 0;
    for (let taken = -1; taken !== 0 && length < bytes.length; length += taken) taken = readSync(descriptor, bytes, length, bytes.length - length, null);
    return bytes.toString('latin1', 0, length);
  } finally {
    closeSync(descriptor);
  }
}

function access(path: string): 'absent' | 'forbidden' | 'usable' {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return 'usable';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : 'forbidden';
  }
}

function space(path: string): { free: number; total: number } {
  const { bavail, blocks, bsize } = statfsSync(path);
  return { free: bavail * bsize, total: blocks * bsize };
}

function output(program: string, ...args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: PROGRAM_MS_MAX, env: { ...process.env, LC_ALL: 'C' } }, (error, stdout) => resolve(error ? undefined : stdout));
  });
}
