// Finds and loads the addon: beside this file in a checkout, in the npm package of this platform otherwise.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { err, ok, Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import type * as Binding from './binding.js';

/** What the addon exports. */
export type Addon = typeof Binding;

/** What is known of the system, the installation and the way to load modules from there. */
export interface Surroundings {
  /** Operating system and processor as Node names them, such as `linux-x64`. */
  readonly system: string;
  /** Whether this process runs on musl, in which an addon for glibc may not fail but crash. */
  readonly musl: boolean;
  /** This package's own version; the addon's must be the same. */
  readonly version: string;
  /** A path for an addon that was built in a checkout; undefined in an installed package. */
  readonly built: (platform: string) => string | undefined;
  /** `require` of this file. */
  readonly load: (module: string) => unknown;
}

/** By operating system and processor, those for which packages are published. */
const SYSTEMS: ReadonlySet<string> = new Set(['linux-x64', 'linux-arm64']);

/** The oldest glibc that the addons are linked for; a test of the packed addons holds it. */
const GLIBC_MIN = '2.17';

/** Loads the addon of this platform, or says in one sentence what is in the way and which command mends it. */
export function loadAddon(here: Surroundings = surroundings()): Result<Addon, BridgeError> {
  if (!SYSTEMS.has(here.system)) {
    return missing(`x11bridge starts bridges on Linux with an x64 or arm64 processor only, and this is ${here.system}: run it in the virtual machine, or on the host, that is one`);
  }
  const platform = `${here.system}-${here.musl ? 'musl' : 'gnu'}`;
  const built = here.built(platform);
  const module = built ?? `x11bridge-${platform}`;
  return Result.fromThrowable(
    () => here.load(module) as Addon,
    (error) => loadFailure(error, built === undefined ? `x11bridge-${platform}` : undefined, here.version),
  )().andThen((addon) => ofTheSameVersion(addon, built === undefined ? module : undefined, here.version));
}

function surroundings(): Surroundings {
  const top = join(__dirname, '../..');
  return {
    system: `${process.platform}-${process.arch}`,
    musl: process.platform === 'linux' && runsOnMusl(),
    version: (JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string }).version,
    built: (platform) => (existsSync(join(top, 'Cargo.toml')) ? join(__dirname, `x11bridge.${platform}.node`) : undefined),
    load: require,
  };
}

/** By the C library that is mapped, under the name of Alpine or that of Debian: such files may lie on any system. */
function runsOnMusl(): boolean {
  try {
    return /\/ld-musl-|-linux-musl\/libc\.so$/m.test(readFileSync('/proc/self/maps', 'latin1'));
  } catch {
    return false; // without /proc nobody knows, and glibc is the rule
  }
}

/** @param npmPackage undefined for an addon that was built in a checkout */
function loadFailure(error: unknown, npmPackage: string | undefined, version: string): BridgeError {
  const cause = firstLine(error);
  if (/version `GLIBC_[\d.]+' not found/.test(cause)) {
    return failure('addon-missing', `the glibc of this system is too old for the addon of x11bridge (${cause}): use a distribution with glibc ${GLIBC_MIN} or newer`);
  }
  if (npmPackage === undefined) return failure('addon-missing', `the addon of this checkout could not be loaded (${cause}): run "npm run build" in it`);
  if (isNotFound(error)) {
    return failure('addon-missing', `the npm package ${npmPackage} is not installed, which brings the addon: run "npm install ${npmPackage}@${version}"`);
  }
  return failure('addon-missing', `the addon in the npm package ${npmPackage} could not be loaded (${cause}): delete the package's folder, then run "npm install ${npmPackage}@${version}"`);
}

function ofTheSameVersion(addon: Addon, npmPackage: string | undefined, version: string): Result<Addon, BridgeError> {
  const found = typeof addon.version === 'function' ? addon.version() : 'an unknown version';
  if (found === version) return ok(addon);
  if (npmPackage === undefined) return missing(`the addon of this checkout is of ${found}, but x11bridge of ${version}: run "npm run build" in it`);
  return missing(`the npm package ${npmPackage} is of version ${found}, but x11bridge of ${version}: run "npm install ${npmPackage}@${version}"`);
}

function missing(message: string): Result<never, BridgeError> {
  return err(failure('addon-missing', message));
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND');
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}
