// The npm packages, from the folders of npm/, the built dist/ and the addons.

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { oneLine, ROOT, StepError } from '../setup.mjs';
import { PLATFORMS } from './platforms.mjs';

/** The tarballs; `debug/` in it has the debug information. */
export const ARTIFACTS = join(ROOT, 'artifacts');
/** Where they are made. */
export const PARTIAL = `${ARTIFACTS}.partial`;

const LICENCES = ['LICENSE-APACHE', 'LICENSE-MIT'];
/** What in package.json is of use in a checkout only. */
const CHECKOUT_ONLY = ['scripts', 'devDependencies', 'overrides', 'napi'];

/** The version of the whole; every package has the same. */
export function packageVersion() {
  return manifestOf('.').version;
}

/**
 * Refuses to build packages that would refuse each other.
 * @throws {StepError} names the first file that is of another version
 */
export function assertOneVersion() {
  const version = packageVersion();
  const cargo = /^version = "([^"]+)"$/m.exec(readFileSync(join(ROOT, 'Cargo.toml'), 'utf8'))?.[1];
  const found = [['Cargo.toml', cargo], ...PLATFORMS.map(({ name }) => [`npm/${name}/package.json`, manifestOf(`npm/${name}`).version])];
  const other = found.find(([, its]) => its !== version);
  if (other) throw new StepError(`${other[0]} is of version ${other[1]}, but package.json of ${version}: "npm run release" sets all of them.`);
}

/** @param {string} name a platform's */
export function addonFile(name) {
  return `x11bridge.${name}.node`;
}

/**
 * Packs the package of a platform.
 * @param {string} name the platform's
 * @param {{ addon: string, notices: string }} content the addon's path, and the notices' text
 * @param {{ stage: string, output: string }} folders to work in, and for the tarball
 */
export function packPlatform(name, { addon, notices }, { stage, output }) {
  const folder = join(stage, name);
  cpSync(join(ROOT, 'npm', name), folder, { recursive: true });
  for (const file of LICENCES) copyFileSync(join(ROOT, file), join(folder, file));
  writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.md'), notices);
  copyFileSync(addon, join(folder, addonFile(name)));
  npmPack(folder, output);
}

/**
 * Packs the root package. It takes the addon of each platform as an optional dependency, of exactly its own version; they can't be named
 * in the checkout's package.json, since npm would look for them in the registry before they are published.
 * @param {readonly string[]} platforms their names
 * @param {{ stage: string, output: string }} folders to work in, and for the tarball
 */
export function packRoot(platforms, { stage, output }) {
  const tarball = npmPack(ROOT, stage);
  extract(join(stage, tarball), stage);
  const folder = join(stage, 'package');
  const { version, ...manifest } = manifestOf('.');
  for (const field of CHECKOUT_ONLY) delete manifest[field];
  const optionalDependencies = Object.fromEntries(platforms.map((name) => [`x11bridge-${name}`, version]));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ ...manifest, version, optionalDependencies }, null, 2)}\n`);
  mkdirSync(output, { recursive: true });
  npmPack(folder, output);
}

/** @param {string} tarball @param {string} folder */
function extract(tarball, folder) {
  const { status, stderr } = spawnSync('tar', ['--extract', '--file', tarball, '--directory', folder], { encoding: 'utf8' });
  if (status !== 0) throw new StepError(`${tarball} could not be unpacked (${oneLine(stderr)}): check the room on the disk.`);
}

/**
 * @param {string} folder the package's
 * @param {string} output the folder for the tarball
 * @returns {string} the tarball's name
 */
function npmPack(folder, output) {
  const args = ['pack', folder, '--ignore-scripts', '--silent', '--pack-destination', output];
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new StepError(`npm could not pack ${folder} (${oneLine(error?.message ?? stderr)}): check the room on the disk.`);
  return stdout.trim();
}

/**
 * @param {string} folder from the top
 * @returns {any}
 */
function manifestOf(folder) {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
}
