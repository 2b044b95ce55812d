// The options of a guest, checked.

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { err, ok, Result, safeTry } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import type { Share } from './guest-files.js';
import type { Acceleration } from './machine.js';

/** Options as the command line has them. */
export interface RawVmOptions {
  readonly qemu: string | undefined;
  readonly kernel: string | undefined;
  readonly root: string | undefined;
  readonly package: string | undefined;
  readonly accel: string | undefined;
  readonly memory: string | undefined;
  readonly cpus: string | undefined;
  readonly share: readonly string[] | undefined;
  readonly network: boolean | undefined;
  readonly hostSocket: string | undefined;
  readonly devShm: string | undefined;
}

/** What a guest is to be. */
export interface VmOptions {
  /** The path of a QEMU, or a name on the PATH; undefined: the one in the cache. */
  readonly qemu: string | undefined;
  /** The path of a kernel's image or of a folder with one, or the name of one in the cache; undefined: the usual one there. */
  readonly kernel: string | undefined;
  /** The absolute path of a folder with the files of a system; undefined: this machine's, or those in the cache for another processor. */
  readonly root: string | undefined;
  /** The absolute path of a folder into which npm has installed x11bridge; undefined: that of the root, or this one. */
  readonly package: string | undefined;
  /** undefined: KVM where it works, else TCG. */
  readonly acceleration: Acceleration | undefined;
  /** in MiB */
  readonly memory: number;
  readonly cpus: number;
  readonly shares: readonly Share[];
  readonly network: boolean;
  /** The absolute path of the socket of a host half; undefined: the guest gets one of its own. */
  readonly hostSocket: string | undefined;
  /** The /dev/shm that the guest shares with the host, in MiB; 0: none */
  readonly devShm: number;
}

/** In MiB; what a host half allows. */
const DEV_SHM = { max: 1 << 20, usual: 1024 };
/** In MiB. Less doesn't boot; more than this is a slip of the finger. */
const MEMORY = { min: 256, max: 1 << 20, usual: 1024 };
/** QEMU's own limit is higher, but more than this never helped a guest. */
const CPUS_MAX = 64;

/** Checks the options and fills in what isn't given. */
export function resolveVmOptions(raw: RawVmOptions): Result<VmOptions, BridgeError> {
  return safeTry(function* () {
    return ok({
      qemu: raw.qemu,
      kernel: raw.kernel,
      root: raw.root && resolve(raw.root),
      package: raw.package && resolve(raw.package),
      acceleration: yield* acceleration(raw.accel),
      memory: yield* integer('--memory', raw.memory, MEMORY.usual, MEMORY.min, MEMORY.max),
      cpus: yield* integer('--cpus', raw.cpus, Math.min(4, availableParallelism()), 1, CPUS_MAX),
      shares: yield* Result.combine((raw.share ?? []).map(share)),
      network: raw.network ?? false,
      hostSocket: raw.hostSocket && resolve(raw.hostSocket),
      devShm: yield* integer('--dev-shm', raw.devShm, DEV_SHM.usual, 0, DEV_SHM.max),
    });
  });
}

function acceleration(value = 'auto'): Result<Acceleration | undefined, BridgeError> {
  if (value === 'auto') return ok(undefined);
  return value === 'kvm' || value === 'tcg' ? ok(value) : refuse('--accel', 'auto, kvm or tcg', value);
}

function integer(flag: string, text: string | undefined, usual: number, min: number, max: number): Result<number, BridgeError> {
  if (text === undefined) return ok(usual);
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? ok(value) : refuse(flag, `a number from ${min} to ${max}`, text);
}

/** DIR, or DIR:rw for one that the guest may write to. */
function share(text: string): Result<Share, BridgeError> {
  const path = text.replace(/:r[wo]$/, '');
  // The guest's set-up puts every path on a line of its own.
  if (path === '' || /[\0\n]/.test(path)) return refuse('--share', 'a folder, or a folder with :rw behind it', text);
  return ok({ path: resolve(path), writable: text.endsWith(':rw') });
}

function refuse(flag: string, wanted: string, value: string): Result<never, BridgeError> {
  return err(failure('invalid-option', `${flag} must be ${wanted}, not ${JSON.stringify(value)}`));
}
