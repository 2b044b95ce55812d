// The licences of everything that is compiled into an addon, from the lock file and the sources of the crates.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT, StepError } from '../setup.mjs';

/** Licences that ask for no more than that their text is passed on; a crate may offer others beside. */
const ACCEPTED = new Set(['MIT', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Zlib', 'MPL-2.0', 'Unicode-3.0', 'Apache-2.0 WITH LLVM-exception']);
const LICENCE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;

const INTRODUCTION = `# Third-party notices

The addon in this package is compiled from x11bridge, whose licences lie beside this file, and from the crates below. It also contains
parts of the standard library of Rust, copyright of The Rust Project Developers, under MIT or Apache-2.0 as well.
`;

/** @typedef {{ name: string, version: string, license: string | null, repository: string | null, authors: string[], manifest_path: string }} Crate */

/**
 * The notices of a platform's addon.
 * @param {string} triple the platform as Rust names it
 * @returns {string} Markdown, the same for the same lock file
 * @throws {StepError} when a crate's licence is unknown or not accepted
 */
export function notices(triple) {
  const crates = linkedCrates(triple);
  for (const crate of crates) assertAccepted(crate);
  return `${INTRODUCTION}\n${crates.map(section).join('\n')}`;
}

/** @param {string} triple @returns {Crate[]} by name and version, without the project's own */
function linkedCrates(triple) {
  const options = ['--locked', '--filter-platform', triple, '--format-version', '1'];
  /** @type {Crate[]} */
  const packages = JSON.parse(cargo(['metadata', ...options])).packages;
  const tree = cargo(['tree', '--locked', '--package', 'x11bridge-node', '--target', triple, '--edges', 'normal,no-proc-macro', '--prefix', 'none', '--format', '{p}']);
  const linked = new Set(tree.split('\n').map((line) => line.split(' ', 2).join(' ')));
  const foreign = packages.filter(({ name, version, manifest_path: path }) => linked.has(`${name} v${version}`) && !path.startsWith(`${ROOT}/`));
  return foreign.sort((one, other) => compare(`${one.name} ${one.version}`, `${other.name} ${other.version}`));
}

/** @param {string} one @param {string} other */
function compare(one, other) {
  return one < other ? -1 : Number(one > other);
}

/** @param {readonly string[]} args */
function cargo(args) {
  return execFileSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** @param {Crate} crate */
function assertAccepted({ name, version, license }) {
  // Every part of an AND has to be accepted, one of an OR; "/" is the older way to write OR.
  const accepted = (license ?? '').split(/ AND /).every((part) => part.replaceAll(/[()]/g, '').split(/ OR |\//).some((choice) => ACCEPTED.has(choice.trim())));
  if (!accepted) throw new StepError(`The crate ${name} ${version} is under ${license ?? 'no licence that it names'}, which scripts/packaging/notices.mjs does not accept: see whether it may be used.`);
}

/** @param {Crate} crate */
function section({ name, version, license, repository, authors, manifest_path: manifest }) {
  const folder = dirname(manifest);
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name));
  const names = files.map((entry) => entry.name).sort(compare);
  const texts = names.map((file) => `### ${file}\n\n\`\`\`text\n${readFileSync(join(folder, file), 'utf8').trimEnd()}\n\`\`\`\n`);
  // A crate without a text of its own still has its authors named.
  const byline = texts.length === 0 && authors.length > 0 ? `, by ${authors.join(', ')}` : '';
  return [`## ${name} ${version}\n`, `${license}${byline}${repository === null ? '' : `, from <${repository}>`}\n`, ...texts].join('\n');
}
