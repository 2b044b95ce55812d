// What the command costs over Node itself: the time to start, and the memory of a bridge that nobody uses yet.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { firstLine } from '../scripts/lab.mjs';
import { ROOT } from '../scripts/setup.mjs';
import { memory } from './process-stats.mjs';

const CLI = join(ROOT, 'dist/cli/main.js');
const VERSION_RATIO_MAX = 2;
const READY_MS_MAX = 150;
const IDLE_MIB_MAX = 25;
/** Starts are short, and others on the machine tell in each of them. */
const ROUNDS = 9;

/** @typedef {{ nodeMs: number, versionMs: number, readyMs: number, idleMib: number }} StartUp medians; the last over an idle Node's */

/**
 * Each round measures all of them, one after the other.
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @returns {Promise<StartUp>}
 */
export async function measureStartUp(lab) {
  /** @type {StartUp[]} */
  const all = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [nodeMs, versionMs] = [run(['--eval', '0']), run([CLI, '--version'])];
    const node = await started(lab, ['--eval', 'console.log(); setInterval(() => {}, 1e9)']);
    // Nothing is asked of the X server before a client comes.
    const serve = await started(lab, [CLI, 'serve', '--channel', 'socket', '--host-display', ':0']);
    all.push({ nodeMs, versionMs, readyMs: serve.ms, idleMib: (serve.kib - node.kib) / 1024 });
  }
  const median = (/** @type {keyof StartUp} */ field) => all.map((result) => result[field]).sort((one, other) => one - other)[ROUNDS >> 1] ?? Number.NaN;
  return { nodeMs: median('nodeMs'), versionMs: median('versionMs'), readyMs: median('readyMs'), idleMib: median('idleMib') };
}

/** @param {StartUp} startUp */
export function reportStartUp(startUp) {
  const { nodeMs, versionMs, readyMs, idleMib } = startUp;
  const lines = verdicts(startUp).map(({ met, text }) => `  ${met ? 'met   ' : 'MISSED'}  ${text}`);
  return [`Start: node -e 0 ${nodeMs.toFixed(0)} ms, x11bridge --version ${versionMs.toFixed(0)} ms, serve ready after ${readyMs.toFixed(0)} ms; idle serve ${idleMib.toFixed(1)} MiB over an idle Node`, ...lines].join('\n');
}

/** @param {StartUp} startUp */
export function startUpIsGood(startUp) {
  return verdicts(startUp).every(({ met }) => met);
}

/** @param {StartUp} startUp */
function verdicts({ nodeMs, versionMs, readyMs, idleMib }) {
  return [
    { met: versionMs <= VERSION_RATIO_MAX * nodeMs, text: `--version ${(versionMs / nodeMs).toFixed(2)} × node -e 0 (at most ${VERSION_RATIO_MAX})` },
    { met: readyMs - nodeMs <= READY_MS_MAX, text: `serve ready ${(readyMs - nodeMs).toFixed(0)} ms later than node -e 0 is done (at most ${READY_MS_MAX})` },
    { met: idleMib <= IDLE_MIB_MAX, text: `idle serve ${idleMib.toFixed(1)} MiB over an idle Node (at most ${IDLE_MIB_MAX})` },
  ];
}

/** @param {readonly string[]} args */
function run(args) {
  const start = performance.now();
  spawnSync(process.execPath, args, { stdio: 'ignore' });
  return performance.now() - start;
}

/**
 * Starts Node, waits for its first line, and looks at its memory.
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {readonly string[]} args
 */
async function started(lab, args) {
  const start = performance.now();
  const child = lab.start(process.execPath, args);
  await firstLine(child, child.stdout, args[0] ?? '');
  const [ms, { rss }] = [performance.now() - start, memory(child.pid ?? 0)];
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await closed;
  return { ms, kib: rss };
}
