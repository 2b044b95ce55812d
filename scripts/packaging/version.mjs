// The version of the whole, which many files name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, StepError } from '../setup.mjs';
import { packageVersion } from './packages.mjs';
import { PLATFORMS } from './platforms.mjs';

/** @typedef {{ path: string, text: string, lines: string[], changes: boolean }} Edit a file's new text, the lines that it did not have, and whether it changes */

/**
 * What setting a version changes.
 * @param {string} version
 * @param {string} date as YYYY-MM-DD, for the changelog
 * @returns {Edit[]} without the files that stay as they are
 * @throws {StepError} when there is nothing to release
 */
export function versionEdits(version, date) {
  const old = packageVersion();
  const manifests = ['package.json', ...PLATFORMS.map(({ name }) => `npm/${name}/package.json`)];
  return [
    ...manifests.map((path) => edit(path, (text) => text.replace(`"version": "${old}"`, `"version": "${version}"`))),
    // npm's lock file has it twice: for the file, and for the package at its top.
    edit('package-lock.json', (text) => text.replaceAll(new RegExp(`("name": "x11bridge",\\s+"version": )"${escaped(old)}"`, 'g'), `$1"${version}"`)),
    edit('Cargo.toml', (text) => text.replace(`\nversion = "${old}"`, `\nversion = "${version}"`).replaceAll(/(\{ path = "crates\/[^"]+", version = )"[^"]+"/g, `$1"${version}"`)),
    edit('Cargo.lock', (text) => text.replaceAll(ownCrates(old), `$1"${version}"`)),
    edit('CHANGELOG.md', (text) => dated(text, version, date)),
  ].filter(({ changes }) => changes);
}

/** Crates of the lock file that come from no registry. @param {string} old */
function ownCrates(old) {
  return new RegExp(`(^name = "[^"]+"\\nversion = )"${escaped(old)}"(?=\\n(?!source))`, 'gm');
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll('.', '\\.');
}

/**
 * @param {string} path
 * @param {(text: string) => string} change
 * @returns {Edit}
 */
function edit(path, change) {
  const before = readFileSync(join(ROOT, path), 'utf8');
  const text = change(before);
  const known = new Set(before.split('\n'));
  return { path, text, lines: [...new Set(text.split('\n').filter((line) => !known.has(line)))], changes: text !== before };
}

/**
 * The changelog with what is unreleased under the version's heading.
 * @param {string} text
 * @param {string} version
 * @param {string} date
 */
function dated(text, version, date) {
  if (text.includes(`\n## [${version}]`)) throw new StepError(`CHANGELOG.md has a section for ${version} already: choose the next version.`);
  const unreleased = /\n## \[Unreleased\]\n([\s\S]*?)(?=\n## |$)/.exec(text)?.[1] ?? '';
  if (!unreleased.includes('\n- ')) throw new StepError('CHANGELOG.md has nothing under "Unreleased": say there what users can notice.');
  return text.replace('\n## [Unreleased]\n', `\n## [Unreleased]\n\n## [${version}] - ${date}\n`);
}

/**
 * @param {string} version
 * @throws {StepError} when its section is missing
 */
export function assertChangelogHas(version) {
  const text = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8');
  if (!text.includes(`\n## [${version}] - `)) throw new StepError(`CHANGELOG.md has no section for ${version}: "npm run release -- --prepare ${version}" makes it.`);
}
