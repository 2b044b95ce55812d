// Brings whatever a script needs on a fresh Debian 12 that has only Node and Rust: Debian packages, npm packages, the build.
// It has no dependencies itself, since it is what installs them. A step that finds its work done says nothing.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEBIAN_PACKAGES } from './debian-packages.mjs';

/** The repository's top folder, without a slash at the end. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** A failure whose message is one sentence for the person at the terminal; no stack is shown for it. */
export class StepError extends Error {
  /** Of the script that it ends. */
  exitCode = 1;
}

/**
 * Makes the machine ready, in order: tool versions, Debian packages, npm packages, the build.
 * @param {{ debian?: readonly string[], build?: boolean }} [needs] `debian`: names of groups in debian-packages.mjs ('build' is
 *   always among them); `build` (default true): compile the addon and the TypeScript into dist/.
 * @throws {StepError} when a step fails
 */
export async function setup({ debian = [], build = true } = {}) {
  ensureTools();
  ensureDebianPackages(['build', ...debian]);
  ensureNpmPackages();
  if (!build) return;
  const { build: compile } = await import('./build.mjs');
  compile();
}

/**
 * Runs a script's main function, and shows a StepError as its sentence.
 * @param {() => Promise<number | void>} main its number is the exit code; nothing means 0
 */
export async function runScript(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}

/**
 * Runs a program in the top folder with the terminal's own streams.
 * @param {string} program a name on the PATH or a path
 * @param {readonly string[]} args
 * @param {Record<string, string | undefined>} [env] added to the environment, or taken from it
 * @throws {StepError} when it can't start or ends with another code than 0
 */
export function step(program, args, env = {}) {
  const done = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
  if (done.error) throw new StepError(`${program} could not be started: ${done.error.message}`);
  if (done.status !== 0) throw new StepError(`this command failed (${done.signal ?? `exit code ${done.status}`}): ${[program, ...args].join(' ')}`);
}

/**
 * What a program has complained, as a part of a sentence.
 * @param {string} text
 */
export function oneLine(text) {
  return text.trim().replaceAll(/\s*\n\s*/g, '; ') || 'it did not say why';
}

/**
 * The path of a program that an npm package brings.
 * @param {string} name
 */
export function npmProgram(name) {
  return join(ROOT, 'node_modules', '.bin', name);
}

/**
 * Whether a program of that name is on the PATH.
 * @param {string} name
 */
export function onPath(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, name)));
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function ensureTools() {
  const wanted = readJson('package.json').engines.node.replace('>=', '');
  if (isOlder(process.versions.node, wanted)) {
    throw new StepError(`Node ${process.versions.node} is too old: install Node ${wanted} or newer.`);
  }
  if (!onPath('cargo')) throw new StepError('cargo is not on the PATH: install Rust from https://rustup.rs first.');
}

/**
 * @param {string} version such as 20.9.0
 * @param {string} wanted such as 20.17
 */
function isOlder(version, wanted) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin = 0, minorMin = 0] = wanted.split('.').map(Number);
  return major < majorMin || (major === majorMin && minor < minorMin);
}

/** @param {readonly string[]} groups */
function ensureDebianPackages(groups) {
  const missing = missingPackages(groups.flatMap(packagesOf));
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  if (!onPath('apt-get')) {
    throw new StepError(`These programs are missing, by the names of their Debian packages; install them first: ${names.join(' ')}`);
  }
  const install = ['install', '--yes', '--no-install-recommends', ...names];
  if (process.getuid?.() !== 0) {
    throw new StepError(`These Debian packages are missing:\n${reasons(missing)}\nInstall them with this line, then try again:\n  sudo apt-get update && sudo apt-get ${install.join(' ')}`);
  }
  console.log(`Installing Debian packages:\n${reasons(missing)}`);
  // Several set-ups may run at once: wait for dpkg's lock instead of failing.
  const quiet = ['-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0'];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  step('apt-get', [...quiet, 'update'], env);
  step('apt-get', [...quiet, ...install], env);
}

/** @param {string} group */
function packagesOf(group) {
  const packages = DEBIAN_PACKAGES[group];
  if (packages === undefined) throw new StepError(`scripts/debian-packages.mjs has no group named ${group}.`);
  return packages;
}

/** @param {readonly import('./debian-packages.mjs').DebianPackage[]} packages */
function missingPackages(packages) {
  const asked = packages.filter(({ command }) => command === undefined || !onPath(command));
  if (asked.length === 0) return [];
  const query = spawnSync('dpkg-query', ['--show', '--showformat=${Package} ${db:Status-Status}\n', ...asked.map(({ name }) => name)], { encoding: 'utf8' });
  const installed = new Set((query.stdout ?? '').split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]));
  return asked.filter(({ name }) => !installed.has(name));
}

/** @param {readonly import('./debian-packages.mjs').DebianPackage[]} packages */
function reasons(packages) {
  return packages.map(({ name, why }) => `  ${name}: ${why}`).join('\n');
}

function ensureNpmPackages() {
  if (npmPackagesMatchLock()) return;
  const options = ['--no-audit', '--no-fund', '--ignore-scripts'];
  const exact = spawnSync('npm', ['ci', ...options], { cwd: ROOT, stdio: ['ignore', 'inherit', 'ignore'] });
  if (exact.status === 0) return;
  console.error('npm ci failed, perhaps because this registry lacks a version in package-lock.json; trying npm install, which may take others.');
  step('npm', ['install', '--no-save', ...options]);
}

// Versions are compared, not times: a checkout gives the lock file a new time without changing it.
function npmPackagesMatchLock() {
  const lock = readJson('package-lock.json');
  const installed = readJson('node_modules/.package-lock.json');
  if (lock === undefined || installed === undefined) return false;
  return Object.entries(lock.packages).every(
    ([path, entry]) => path === '' || entry.optional === true || installed.packages[path]?.version === entry.version,
  );
}

/**
 * @param {string} path from the top folder
 * @returns {any} undefined when there is no such file
 */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}
