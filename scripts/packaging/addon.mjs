// The addon of one platform as it is published: the same bytes whoever builds it, given the same compiler on the same processor.

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
  const toolchain = toolchainFor(platform);
  const built = compile(platform, toolchain, [], 'libx11bridge_node.so', { source, targetDir });
  split(toolchain.objcopy, built, addon, debug);
}

/**
 * Builds, as addons are built, one that panics when it is asked to.
 * @param {Platform} platform
 * @returns {string} its path, which Node would not know by its name for an addon
 * @throws {StepError} when it can't be built
 */
export function buildPanicking(platform) {
  return compile(platform, toolchainFor(platform), ['--example', 'panicking'], 'examples/libpanicking.so', { source: ROOT, targetDir: defaultTargetDir() });
}

/**
 * @param {Platform} platform
 * @param {import('./toolchain.mjs').Toolchain} toolchain
 * @param {readonly string[]} what of the addon's crate, by default the addon
 * @param {string} file what cargo leaves
 * @param {{ source: string, targetDir: string }} paths
 * @returns {string} its path
 */
function compile({ triple }, { env, args, rustflags }, what, file, { source, targetDir }) {
  const config = `target.${triple}.rustflags=${JSON.stringify([...rustflags, ...ownRustflags(source)])}`;
  const paths = ['--manifest-path', join(source, 'Cargo.toml'), '--target-dir', targetDir];
  const target = ['--locked', '--profile', 'dist', '--package', 'x11bridge-node', '--target', triple];
  step('cargo', ['build', ...args, ...target, ...what, ...paths, '--config', config], { ...env, ...NEUTRAL });
  const built = join(targetDir, triple, 'dist', file);
  if (!existsSync(built)) throw new StepError(`cargo left no ${built}.`);
  return built;
}

/** Settings of this machine that would get into the code. */
const NEUTRAL = { RUSTFLAGS: undefined, CARGO_ENCODED_RUSTFLAGS: undefined, CARGO_BUILD_RUSTFLAGS: undefined };

/** Cargo adds these to those of .cargo/config.toml. */
function ownRustflags(/** @type {string} */ source) {
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
