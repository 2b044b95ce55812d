// `npm test`: sets up, then runs every test there is. `npm test -- rust unit cli` runs only those parts.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, stderr, stdout } from 'node:process';
import { npmProgram, ROOT, runScript, setup, step, StepError } from './setup.mjs';
import { buildShims } from './shims.mjs';
import { honest, sum, Tally } from './tally.mjs';

/** The folders of __test__ with tests in them, cheapest first. */
const MOCHA_SUITES = ['unit', 'arch', 'contract', 'api', 'cli', 'x11'];
const PARTS = ['rust', ...MOCHA_SUITES];

/** No part takes a third of this; one that does hangs. */
const PART_MINUTES_MAX = 15;

const COVERAGE = join(ROOT, 'coverage', 'tmp');

await runScript(async () => {
  const chosen = chosenParts(argv.slice(2));
  await setup({ debian: ['xserver', 'xclients', 'shims', 'fences', 'peers'] });
  buildShims();
  compileTests();
  rmSync(COVERAGE, { recursive: true, force: true });
  const tally = new Tally();
  for (const part of chosen) {
    console.log(`\n── ${part} tests ──`);
    tally.add(part, part === 'rust' ? await rustTests() : await mochaSuite(part));
  }
  if (existsSync(COVERAGE)) reportCoverage();
  return tally.close();
});

/** @param {readonly string[]} names */
function chosenParts(names) {
  const unknown = names.find((name) => !PARTS.includes(name));
  if (unknown !== undefined) throw new StepError(`There is no part named ${unknown}; the parts are ${PARTS.join(', ')}.`);
  return names.length === 0 ? PARTS : names;
}

function compileTests() {
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

async function rustTests() {
  const { output, endedWell } = await runPart('cargo', ['test', '--workspace', '--no-fail-fast']);
  const results = [...output.matchAll(/^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored;/gm)];
  const counts = results.map(([, passed, failed, skipped]) => ({ passed: Number(passed), failed: Number(failed), skipped: Number(skipped) }));
  return honest(sum(counts), endedWell);
}

/** @param {string} suite */
async function mochaSuite(suite) {
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-counts-'));
  try {
    const file = join(folder, 'counts.json');
    const env = { NODE_V8_COVERAGE: COVERAGE, MOCHA_COUNTS: file };
    const { endedWell } = await runPart(npmProgram('mocha'), ['--reporter', 'scripts/mocha-reporter.cjs', `build/${suite}/**/*.test.js`], env);
    return honest(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : sum([]), endedWell);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs one part to its end, showing its output as it comes.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<{ output: string, endedWell: boolean }>}
 */
function runPart(program, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    const limit = setTimeout(() => {
      console.error(`stopped: it ran for more than ${PART_MINUTES_MAX} minutes`);
      child.kill('SIGKILL');
    }, PART_MINUTES_MAX * 60_000);
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

function reportCoverage() {
  console.log('\n── coverage of ts/ ──');
  step(npmProgram('c8'), ['report', '--temp-directory', COVERAGE]);
}
