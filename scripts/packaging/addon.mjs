// The addon of one platform as it is published: the same bytes whoever builds it and where, given the same compiler.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { oneLine, ROOT, step, StepError } from '../setup.mjs';
import { toolchainFor } from './toolchain.mjs';

/** @typedef {import('./platforms.mjs').Platform} Platform */

/**
 * Builds the addon of a platform.
 * @param {Platform} platform
 * @param {{ addon: string, debug: string, source?: string, targetDir?: string }} paths `addon` and `debug`: the files to write, the second
 *   with the debug information of the first; `source`: the checkout to build, by default this one; `targetDir`: cargo's
 * @throws {StepError} when it can't be built
 */
export function buildAddon(platform, { addon, debug, source = ROOT, targetDir = defaultTargetDir() }) {
  const { env, objcopy } = toolchainFor(platform);
  const args = ['build', '--locked', '--profile', 'dist', '--package', 'x11bridge-node', '--target', platform.triple];
  const config = `target.${platform.triple}.rustflags=${JSON.stringify(rustflags(source))}`;
  const paths = ['--manifest-path', join(source, 'Cargo.toml'), '--target-dir', targetDir];
  step('cargo', [...args, ...paths, '--config', config], { ...env, ...NEUTRAL });
  const built = join(targetDir, platform.triple, 'dist', 'libx11bridge_node.so');
  if (!existsSync(built)) throw new StepError(`cargo left no ${built}.`);
  split(objcopy, built, addon, debug);
}

/** Settings of this machine that would get into the code. */
const NEUTRAL = { RUSTFLAGS: undefined, CARGO_ENCODED_RUSTFLAGS: undefined, CARGO_BUILD_RUSTFLAGS: undefined };

/** Cargo adds these to those of .cargo/config.toml. */
function rustflags(/** @type {string} */ source) {
  return [
    // Where things lie on this machine is not to be in the code.
    `--remap-path-prefix=${source}=/x11bridge`,
    `--remap-path-prefix=${process.env.CARGO_HOME ?? join(homedir(), '.cargo')}=/cargo`,
    // Debuggers find the debug information by it.
    '-Clink-arg=-Wl,--build-id=sha1',
  ];
}

/**
 * Splits the debug information off.
 * @param {string} objcopy
 * @param {string} built
 * @param {string} addon
 * @param {string} debug
 */
function split(objcopy, built, addon, debug) {
  run(objcopy, ['--only-keep-debug', '--compress-debug-sections', built, debug]);
  run(objcopy, ['--strip-all', '--remove-section=.comment', `--add-gnu-debuglink=${debug}`, built, addon]);
}

/** @param {string} program @param {readonly string[]} args */
function run(program, args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new StepError(`this command failed (${oneLine(error?.message ?? stderr)}): ${[program, ...args].join(' ')}`);
}

function defaultTargetDir() {
  return process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
}
