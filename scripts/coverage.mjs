// `npm run coverage`: line coverage of the Rust crates by their own tests. What the tests in TypeScript reach comes on top.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, runScript, setup, step, StepError } from './setup.mjs';

const PROFILES = join(ROOT, 'coverage', 'rust');
const MERGED = join(PROFILES, 'merged.profdata');
/** The LLVM whose tools Debian 12 has, in the group `coverage`. It reads data of its own major version only. */
const LLVM_MAJOR = 22;
/** Apart from the usual build, which instrumented code would replace. */
const ENV = {
  RUSTFLAGS: '-C instrument-coverage',
  LLVM_PROFILE_FILE: join(PROFILES, '%p-%m.profraw'),
  CARGO_TARGET_DIR: join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'coverage'),
};
/** Code for tests is not what is to be covered. */
const SUPPORT_CRATES = new Set(['testkit', 'fuzz']);

/** @typedef {{ filename: string, summary: { lines: { count: number, covered: number } } }} FileSummary */

await runScript(async () => {
  requireMatchingLlvm();
  await setup({ debian: ['coverage', 'fences'], build: false });
  rmSync(PROFILES, { recursive: true, force: true });
  mkdirSync(PROFILES, { recursive: true });
  step('cargo', ['test', '--workspace', '--quiet'], ENV);
  mergeProfiles();
  report(summaries(testPrograms()));
});

function requireMatchingLlvm() {
  const version = execFileSync('rustc', ['-vV'], { encoding: 'utf8' });
  const major = Number(/^LLVM version: (\d+)/m.exec(version)?.[1]);
  if (major !== LLVM_MAJOR) throw new StepError(`Coverage needs a Rust that is built on LLVM ${LLVM_MAJOR}; this one is on LLVM ${major}.`);
}

function mergeProfiles() {
  const profiles = readdirSync(PROFILES).map((name) => join(PROFILES, name));
  step(`llvm-profdata-${LLVM_MAJOR}`, ['merge', '--sparse', '--output', MERGED, ...profiles]);
}

/** Every program that the tests consist of; it is built already. */
function testPrograms() {
  const built = spawnSync('cargo', ['test', '--workspace', '--no-run', '--quiet', '--message-format', 'json'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...ENV },
    maxBuffer: 1 << 28,
  });
  const lines = built.stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line).executable).filter((path) => typeof path === 'string');
}

/**
 * @param {readonly string[]} programs
 * @returns {FileSummary[]}
 */
function summaries(programs) {
  const objects = programs.flatMap((path) => ['--object', path]);
  const args = ['export', '--summary-only', '--instr-profile', MERGED, ...objects];
  return JSON.parse(execFileSync(`llvm-cov-${LLVM_MAJOR}`, args, { encoding: 'utf8', maxBuffer: 1 << 28 })).data[0].files;
}

/** @param {readonly FileSummary[]} files */
function report(files) {
  /** @type {Map<string, { count: number, covered: number }>} */
  const crates = new Map();
  const total = { count: 0, covered: 0 };
  for (const { filename, summary } of files) {
    const [top, crate = '', folder] = relative(ROOT, filename).split('/');
    if (top !== 'crates' || folder !== 'src' || SUPPORT_CRATES.has(crate)) continue;
    const sum = crates.get(crate) ?? { count: 0, covered: 0 };
    crates.set(crate, sum);
    for (const counted of [sum, total]) {
      counted.count += summary.lines.count;
      counted.covered += summary.lines.covered;
    }
  }
  console.log('\nLine coverage of the Rust crates by their own tests');
  for (const [crate, sum] of [...crates, /** @type {const} */ (['all', total])]) {
    console.log(`  ${crate.padEnd(16)}${((100 * sum.covered) / sum.count).toFixed(1).padStart(5)} % of ${sum.count} lines`);
  }
}
