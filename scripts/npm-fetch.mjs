// Packages of the npm registry that are fetched for what is in them, not as dependencies.

import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached } from './cache.mjs';
import { StepError } from './setup.mjs';

/**
 * A package, unpacked in the cache; without its dependencies.
 * @param {string} name
 * @param {string} version a version or a range; of a range, the newest that the registry has
 * @returns {string} the folder with its package.json
 */
export function npmPackage(name, version) {
  return join(cached(`${name.replace('@', '').replace('/', '-')}-${version}`, (folder) => fetchPackage(`${name}@${version}`, folder)), 'package');
}

/** @param {string} spec @param {string} folder */
function fetchPackage(spec, folder) {
  run('npm', ['pack', spec, '--silent', '--pack-destination', folder], `the npm package ${spec} could not be fetched: check the network and npm's registry`);
  const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz')) ?? '';
  run('tar', ['--extract', '--file', join(folder, tarball), '--directory', folder], `the npm package ${spec} could not be unpacked: check the room on the disk`);
  rmSync(join(folder, tarball));
}

/**
 * Programs of npm packages, installed in the cache with their dependencies.
 * @param {string} name the folder's name in the cache
 * @param {readonly string[]} specs such as publint@0.3
 * @returns {string} the folder with the programs
 */
export function npmPrograms(name, specs) {
  const args = ['install', ...specs, '--no-audit', '--no-fund', '--ignore-scripts', '--silent'];
  const why = `${specs.join(' and ')} could not be installed from npm's registry: check the network and the room on the disk`;
  return join(cached(name, (folder) => run('npm', [...args, '--prefix', folder], why)), 'node_modules', '.bin');
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} sentence says what failed and what to do; the program's own words come first
 */
function run(program, args, sentence) {
  const { status } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new StepError(`${sentence}.`);
}
