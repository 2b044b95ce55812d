// The part of `npm run bench:vm` that runs in the guest: it measures, and prints one line of JSON.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { argv } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../scripts/lab.mjs';
import { SHIMS } from '../scripts/shims.mjs';
import { measureAll } from './measure.mjs';
import { countSystemCalls } from './vm-counts.mjs';

/** @typedef {{ bench: string, effort: { rounds: number, seconds: number }, address: string, port: number, xauthority: string }} Task */

/** @type {Task} */
const task = JSON.parse(argv[2] ?? '');
const lab = new Lab();
try {
  const contenders = [await bridge('virtgpu', []), await bridge('tcp', ['--channel', `tcp:${task.address}:${task.port}`, '--host-xauthority', task.xauthority]), await socat()];
  const results = await measureAll(lab, task.bench, contenders, task.effort, console.error);
  const counts = await countSystemCalls(lab, task.bench, console.error);
  const fences = { auto: await measureFences('auto'), off: await measureFences('off') };
  console.log(JSON.stringify({ kernel: release(), results: [...results], counts, fences }));
} finally {
  await lab.close();
}

/**
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<import('./contenders.mjs').Contender>}
 */
async function bridge(name, args) {
  const { env, pid } = await lab.startBridge({}, args.length > 0 ? args : ['--channel', name]);
  return { name, env: { ...env }, pid };
}

/**
 * @param {string} spin
 * @returns {Promise<import('./vm.mjs').Fences>}
 */
async function measureFences(spin) {
  const { env } = await lab.startBridge({}, ['--channel', 'virtgpu', '--dri3', 'on', '--spin', spin]);
  // Enough for a median; they are taken in turns.
  const cycles = String(Math.round(1000 * task.effort.seconds));
  return JSON.parse((await lab.output(join(SHIMS, 'fences'), ['measure', cycles, '/dev/shm'], env)).toString());
}

/** @returns {Promise<import('./contenders.mjs').Contender>} */
async function socat() {
  const path = join(lab.dir, 'socat');
  const child = lab.start('socat', [`UNIX-LISTEN:${path},fork,backlog=256`, `TCP:${task.address}:${task.port},nodelay`], { stdio: 'ignore' });
  const ended = once(child, 'exit').then(() => true);
  while (!existsSync(path)) if (await Promise.race([ended, sleep(50, false)])) throw new Error('socat has ended');
  return { name: 'socat', env: { DISPLAY: path, XAUTHORITY: task.xauthority }, pid: child.pid ?? 0 };
}
