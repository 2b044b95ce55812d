// `npm run bench`: what the bridge costs, against the X server itself and against socat, all in one run on one Xvfb.
//
//   npm run bench -- [--quick] [--json FILE] [--check]
//
// x11-bench asserts before each measure that what it measures is right; a wrong result ends the run with exit code 1.
// A missed target does so only with --check.

import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { execFileSync } from 'node:child_process';
import { Lab, buildTestkit } from '../scripts/lab.mjs';
import { runScript, setup } from '../scripts/setup.mjs';
import { buildShims } from '../scripts/shims.mjs';
import { buffersAreGood, measureBuffers, reportBuffers } from './buffers.mjs';
import { startContenders } from './contenders.mjs';
import { fencesAreGood, measureFences, reportFences } from './fences.mjs';
import { measureAll } from './measure.mjs';
import { options } from './options.mjs';
import { measurePolicies, policiesAreGood, reportPolicies } from './policies.mjs';
import { busyShare } from './process-stats.mjs';
import { judge, report } from './report.mjs';
import { measureStartUp, reportStartUp, startUpIsGood } from './start-up.mjs';

/** The default takes some three minutes, the quick one half a minute. */
const EFFORT = {
  full: { rounds: 5, seconds: 0.8, idleSeconds: 5, fenceCycles: 20_000, images: 5000 },
  quick: { rounds: 3, seconds: 0.15, idleSeconds: 2, fenceCycles: 3000, images: 1000 },
};

/** Above this share of busy processors the figures say more about the others. */
const BUSY_MAX = 0.1;

await runScript(async () => {
  const { quick, json, check } = options();
  await setup({ debian: ['xserver', 'shims', 'peers'] });
  buildShims();
  const { bench } = buildTestkit();
  const machine = describeMachine();
  console.log(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; Node ${machine.node}, ${machine.xvfb}, ${machine.socat}`);
  const busy = await busyShare();
  if (busy > BUSY_MAX) {
    console.log(`Other programs use ${Math.round(busy * 100)} % of the processors: figures will be lower, and ratios distorted. A processor that is kept awake by others makes direct round trips several times as fast.`);
  }
  const lab = new Lab();
  try {
    const effort = quick ? EFFORT.quick : EFFORT.full;
    const fences = measureFences(lab.dir, effort.fenceCycles);
    const startUp = await measureStartUp(lab);
    const results = await measureAll(lab, bench, await startContenders(lab), effort, console.error);
    const policies = await measurePolicies(lab, bench, effort);
    const buffers = await measureBuffers(lab, effort.images, effort.rounds);
    const verdicts = judge(results);
    console.log(`\n${report(results, verdicts)}\n\n${reportFences(fences)}\n\n${reportStartUp(startUp)}\n\n${reportBuffers(buffers)}\n\n${reportPolicies(policies)}`);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, busy, results: Object.fromEntries(results), targets: verdicts, fences, startUp, buffers, policies }, null, 2)}\n`);
    return check && (verdicts.some(({ met }) => !met) || !fencesAreGood(fences) || !startUpIsGood(startUp) || !buffersAreGood(buffers) || !policiesAreGood(policies)) ? 1 : 0;
  } finally {
    await lab.close();
  }
});

function describeMachine() {
  const version = (/** @type {string} */ name) => execFileSync('dpkg-query', ['--show', '--showformat=${Package} ${Version}', name], { encoding: 'utf8' });
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    xvfb: version('xvfb'),
    socat: version('socat'),
  };
}
