// Runs the tests of one part, and counts them.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stderr, stdout } from 'node:process';
import { npmProgram, ROOT, step } from './setup.mjs';
import { honest, sum } from './tally.mjs';

/** No part takes a third of this; one that does hangs. */
const PART_MINUTES_MAX = 15;
/** Compiling everything for the first time, on a machine that others use as well. */
const COMPILATION_MINUTES_MAX = 60;

/** Compiles the tests that are in TypeScript. */
export function compileTests() {
  removeOrphans();
  step(npmProgram('tsc'), ['--project', '__test__']);
}

/** Compiled tests whose source is gone would still run. */
function removeOrphans() {
  if (!existsSync(join(ROOT, 'build'))) return;
  for (const entry of readdirSync(join(ROOT, 'build'), { recursive: true, encoding: 'utf8' })) {
    const source = join(ROOT, '__test__', entry.replace(/\.js$/, '.ts'));
    if (entry.endsWith('.js') && !existsSync(source)) rmSync(join(ROOT, 'build', entry));
  }
}

/**
 * Runs a folder of __test__ with mocha.
 * @param {string} suite
 * @param {Record<string, string>} [env] added to the environment
 * @param {number} [minutesMax]
 */
export function mochaSuite(suite, env = {}, minutesMax = PART_MINUTES_MAX) {
  return mochaTests([`build/${suite}/**/*.test.js`], { env, minutesMax });
}

/**
 * Runs compiled tests with mocha.
 * @param {readonly string[]} args files under build/, patterns of them, and options of mocha
 * @param {{ env?: Record<string, string>, minutesMax?: number, node?: readonly string[] }} [options] `node`: the Node to run mocha with and
 *   arguments for it; by default the one that runs this
 * @returns {Promise<import('./tally.mjs').Counts>}
 */
export async function mochaTests(args, { env = {}, minutesMax = PART_MINUTES_MAX, node = [process.execPath] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-counts-'));
  try {
    const file = join(folder, 'counts.json');
    const [program = '', ...first] = [...node, join(ROOT, 'node_modules/mocha/bin/mocha.js'), '--reporter', 'scripts/mocha-reporter.cjs'];
    const { endedWell } = await runPart(program, [...first, ...args], { MOCHA_COUNTS: file, ...env }, minutesMax);
    return honest(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : sum([]), endedWell);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs Rust tests.
 * @param {readonly string[]} [args] for `cargo test`; by default those of all crates
 * @param {Record<string, string | undefined>} [env]
 * @returns {Promise<import('./tally.mjs').Counts>}
 */
export async function rustTests(args = ['--workspace'], env = {}) {
  const compiled = await runPart('cargo', ['test', '--no-run', '--quiet', ...args], env, COMPILATION_MINUTES_MAX);
  if (!compiled.endedWell) return { passed: 0, failed: 1, skipped: 0, failures: ['the tests do not compile'] };
  const { output, endedWell } = await runPart('cargo', ['test', '--no-fail-fast', ...args], env);
  const results = [...output.matchAll(/^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored;/gm)];
  const counts = results.map(([, passed, failed, skipped]) => ({ passed: Number(passed), failed: Number(failed), skipped: Number(skipped) }));
  const failures = [...output.matchAll(/^---- (.+) stdout ----\n+(?:thread .*\n)?(.*)/gm)].map(([, name, why]) => `${name}: ${why}`);
  return honest({ ...sum(counts), failures }, endedWell);
}

/**
 * Runs one part to its end, showing its output as it comes.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string | undefined>} [env] added to the environment, or taken from it
 * @param {number} [minutesMax]
 * @returns {Promise<{ output: string, endedWell: boolean }>}
 */
export function runPart(program, args, env = {}, minutesMax = PART_MINUTES_MAX) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    const limit = setTimeout(() => {
      console.error(`stopped: it ran for more than ${minutesMax} minutes`);
      child.kill('SIGKILL');
    }, minutesMax * 60_000);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      stdout.write(text);
    });
    child.stderr.pipe(stderr, { end: false });
    child.once('error', (error) => console.error(`${program} could not be started: ${error.message}`));
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ output, endedWell: code === 0 });
    });
  });
}
