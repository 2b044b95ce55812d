// `npm run bench:instructions`: what a small request costs a session, with and without a policy, in instructions. No other program on the
// machine changes them, so a change of some can be told from none.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { build } from '../scripts/build.mjs';
import { ROOT, runScript, step, StepError } from '../scripts/setup.mjs';

/** Trios of requests: the difference of both runs has nothing of the start in it. */
const TRIOS = /** @type {const} */ ([2000, 202_000]);
const REQUESTS = 3 * (TRIOS[1] - TRIOS[0]);

await runScript(async () => {
  build();
  step('cargo', ['build', '--quiet', '--release', '--package', 'x11bridge-session', '--example', 'small-requests']);
  const { loadPolicy } = await import('../dist/policy/load.js');
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-instructions-'));
  try {
    const none = perRequest([]);
    console.log(`without a policy: ${none.toFixed(1)} instructions a request (a third each of ChangeGC, PolyPoint and NoOperation)`);
    for (const name of ['guest', 'isolated']) {
      const { words, extensions, labels, atoms, machine } = loadPolicy(name, env)._unsafeUnwrap();
      const table = join(folder, name);
      writeFileSync(table, [words.join(' '), extensions.join('\t'), labels.length, atoms.join('\t'), machine].join('\n'));
      console.log(`under ${name}: ${perRequest([table]).toFixed(1)}`);
    }
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** @param {readonly string[]} table */
function perRequest(table) {
  const [few, many] = TRIOS.map((count) => instructions([String(count), ...table]));
  return ((many ?? 0) - (few ?? 0)) / REQUESTS;
}

/** @param {readonly string[]} args */
function instructions(args) {
  const program = join(ROOT, 'target/release/examples/small-requests');
  const { error, stderr } = spawnSync('valgrind', ['--tool=callgrind', '--callgrind-out-file=/dev/null', program, ...args], { encoding: 'utf8' });
  if (error !== undefined) throw new StepError(`valgrind can't be run (${error.message}): install it`);
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? [];
  if (collected === undefined) throw new StepError(`valgrind counted nothing: ${stderr}`);
  return Number(collected);
}
