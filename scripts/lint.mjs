// `npm run lint`: every check that needs no running program. All of them run, so that one call shows every fault.

import { spawnSync } from 'node:child_process';
import { npmProgram, ROOT, runScript, setup } from './setup.mjs';
import { Tally } from './tally.mjs';

/** @type {readonly [check: string, program: string, ...args: string[]][]} */
const CHECKS = [
  ['rustfmt', 'cargo', 'fmt', '--all', '--check'],
  ['clippy', 'cargo', 'clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'],
  ['types of ts', npmProgram('tsc'), '--noEmit'],
  ['types of tests', npmProgram('tsc'), '--noEmit', '--project', '__test__'],
  ['types of scripts', npmProgram('tsc'), '--project', 'tsconfig.scripts.json'],
  ['oxlint', npmProgram('oxlint'), '--deny-warnings'],
];

await runScript(async () => {
  await setup();
  const tally = new Tally();
  for (const [check, program, ...args] of CHECKS) {
    console.log(`\n── ${check} ──`);
    const { status } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' });
    tally.add(check, status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
  }
  return tally.close();
});
