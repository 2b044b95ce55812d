// `npm run release`: what there is to a release.
//
//   npm run release -- --prepare 1.2.3   sets the version everywhere and dates the changelog; commit that, and tag it v1.2.3
//   npm run release -- --dry-run [1.2.3] every step of a release, without changing a file of the checkout or publishing anything
//   npm run release                      builds, tests and publishes what is tagged; for the release workflow, as npm's provenance needs its
//                                        identity
//
// The packages of the platforms are published before the root package, which nobody could install without them.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, env } from 'node:process';
import { ARTIFACTS, packageVersion } from './packaging/packages.mjs';
import { PLATFORMS } from './packaging/platforms.mjs';
import { assertChangelogHas, versionEdits } from './packaging/version.mjs';
import { ROOT, runScript, step, StepError } from './setup.mjs';

/** @typedef {{ mode: 'prepare' | 'dry-run' | 'publish', version: string }} Release */

await runScript(async () => {
  const release = parse(argv.slice(2));
  if (release.mode === 'publish') assertPublishable(release.version);
  else setVersion(release);
  if (release.mode === 'prepare') return;
  heading('build, pack and test the packages');
  step(process.execPath, ['scripts/test-pack.mjs']);
  for (const [program, ...args] of publications(release)) {
    heading([program, ...args].join(' '));
    step(program, args);
  }
});

/** @param {readonly string[]} args @returns {Release} */
function parse(args) {
  const options = args.filter((arg) => arg.startsWith('-'));
  const [version = packageVersion(), ...more] = args.filter((arg) => !arg.startsWith('-'));
  const [option = '--publish', ...others] = options;
  const known = /** @type {const} */ ({ '--prepare': 'prepare', '--dry-run': 'dry-run', '--publish': 'publish' });
  if (!Object.hasOwn(known, option) || others.length > 0 || more.length > 0) throw new StepError('The arguments are --prepare VERSION, --dry-run [VERSION], or none.');
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) throw new StepError(`${version} is no version: it has to be like 1.2.3 or 1.2.3-beta.1.`);
  return { mode: known[/** @type {keyof typeof known} */ (option)], version };
}

/** @param {string} version */
function assertPublishable(version) {
  if (env.ACTIONS_ID_TOKEN_REQUEST_URL === undefined) throw new StepError('Packages are published by the release workflow, whose identity npm signs into their provenance: push a tag; to try all but that here, use --dry-run.');
  assertChangelogHas(version);
  const tags = execFileSync('git', ['tag', '--points-at', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).split('\n');
  if (!tags.includes(`v${version}`)) throw new StepError(`This commit has no tag v${version}: tag the commit that "npm run release -- --prepare ${version}" was for.`);
}

/** @param {Release} release */
function setVersion({ mode, version }) {
  heading(`version ${version}`);
  for (const { path, text, lines } of versionEdits(version, new Date().toISOString().slice(0, 10))) {
    console.log(`${path}${lines.map((line) => `\n  ${line}`).join('')}`);
    if (mode === 'prepare') writeFileSync(join(ROOT, path), text);
  }
  if (mode === 'dry-run') console.log(`Nothing of that is written; what follows is done with version ${packageVersion()}.`);
  else console.log(`\nCommit this as "Release ${version}", tag it v${version}, and push both.`);
}

/**
 * The commands that publish, in their order.
 * @param {Release} release
 * @returns {[program: string, ...args: string[]][]}
 */
function publications({ mode }) {
  const version = packageVersion();
  const dry = mode === 'dry-run' ? ['--dry-run'] : [];
  // A pre-release must not become what people get who name no version.
  const tag = version.includes('-') ? 'next' : 'latest';
  const npm = [...PLATFORMS.map(({ name }) => `x11bridge-${name}`), 'x11bridge'].map((name) => join(ARTIFACTS, `${name}-${version}.tgz`));
  return [
    ...npm.map((file) => /** @type {[string, ...string[]]} */ (['npm', 'publish', file, '--access', 'public', '--provenance', '--tag', tag, ...dry])),
    // Those that are of use alone, and what they depend on; cargo knows the order. A dry run is of what lies here, committed or not.
    ['cargo', 'publish', '--workspace', '--locked', ...(dry.length > 0 ? [...dry, '--allow-dirty'] : [])],
  ];
}

/** @param {string} text */
function heading(text) {
  console.log(`\n── ${text} ──`);
}
