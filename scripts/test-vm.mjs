// `npm run test:vm`: tests in real guests, with their set-up. `npm run test:vm -- --quick` runs those for which `.ci/run` has time.

import { argv } from 'node:process';
import { buildAll } from './build-all.mjs';
import { withInstalled } from './packaging/installed.mjs';
import { ARTIFACTS } from './packaging/packages.mjs';
import { USUAL } from './packaging/platforms.mjs';
import { runScript, setup, StepError } from './setup.mjs';
import { buildShims } from './shims.mjs';
import { compileTests, mochaSuite } from './suites.mjs';
import { closingLine, Tally } from './tally.mjs';
import { NAMES, setUpVm, Unavailable } from './vm-setup.mjs';
import { KERNELS } from './vm/kernel.mjs';

/** Whether there are guests with another processor: arm64 on x64. */
const FOREIGN = process.arch === 'x64';
/** Guards against hangs, for a busy machine without KVM. */
const MINUTES_MAX = { quick: 12, all: 120 };

await runScript(async () => {
  const args = argv.slice(2);
  const unknown = args.find((arg) => arg !== '--quick');
  if (unknown !== undefined) throw new StepError(`There is no option ${unknown}; there is --quick.`);
  const extent = args.includes('--quick') ? 'quick' : 'all';
  await setup({ debian: ['xserver', 'xclients', 'desktop', 'peers', 'fetch', 'shims', 'fences'] });
  const reason = await whyNot(extent);
  if (reason !== undefined) {
    console.log(`\nSkipped: ${reason}\n${closingLine({ passed: 0, failed: 0, skipped: 1 })}`);
    return 0;
  }
  buildShims();
  const tally = new Tally();
  tally.add('vm', await (extent === 'all' && FOREIGN ? withForeignPackage((folder) => tests(extent, folder)) : tests(extent)));
  return tally.close();
});

/**
 * @param {'quick' | 'all'} extent
 * @param {string} [foreignPackage] x11bridge for guests with another processor
 */
function tests(extent, foreignPackage = '') {
  compileTests();
  return mochaSuite('vm', { X11BRIDGE_VM_TESTS: extent, TESTED_FOREIGN_PACKAGE: foreignPackage }, MINUTES_MAX[extent]);
}

/**
 * Guests with another processor need another addon: the one that is published.
 * @template T
 * @param {(folder: string) => Promise<T>} test
 */
async function withForeignPackage(test) {
  await buildAll(USUAL);
  return withInstalled(ARTIFACTS, 'arm64', test);
}

/**
 * Why there can be no guest on this machine.
 * @param {'quick' | 'all'} extent
 */
async function whyNot(extent) {
  try {
    await setUpVm(extent === 'quick' ? undefined : FOREIGN ? NAMES : KERNELS.filter(({ arch }) => arch === process.arch).map(({ name }) => name));
    return undefined;
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}
