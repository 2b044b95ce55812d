// `npm test`: sets up, then runs every test there is. `npm test -- rust unit cli` runs only those parts.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { buildTestkit } from './lab.mjs';
import { npmProgram, ROOT, runScript, setup, step, StepError } from './setup.mjs';
import { buildShims } from './shims.mjs';
import { compileTests, mochaSuite, rustTests } from './suites.mjs';
import { Tally } from './tally.mjs';

/** The folders of __test__ with tests in them, cheapest first. */
const MOCHA_SUITES = ['unit', 'arch', 'contract', 'api', 'cli', 'x11'];
const PARTS = ['rust', ...MOCHA_SUITES];

const COVERAGE = join(ROOT, 'coverage', 'tmp');

await runScript(async () => {
  const chosen = chosenParts(argv.slice(2));
  await setup({ debian: ['xserver', 'xclients', 'desktop', 'shims', 'fences', 'peers'] });
  buildShims();
  compileTests();
  // Here and not in the first test that uses one: that one has a time limit.
  if (chosen.includes('x11')) buildTestkit();
  rmSync(COVERAGE, { recursive: true, force: true });
  const tally = new Tally();
  for (const part of chosen) {
    console.log(`\n── ${part} tests ──`);
    tally.add(part, part === 'rust' ? await rustTests() : await mochaSuite(part, { NODE_V8_COVERAGE: COVERAGE }));
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

function reportCoverage() {
  console.log('\n── coverage of ts/ ──');
  step(npmProgram('c8'), ['report', '--temp-directory', COVERAGE]);
}
