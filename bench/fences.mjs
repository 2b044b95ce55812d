// What it takes from the trigger of a fence in one process until its waiter in another is awake, and what a link costs at rest.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, StepError } from '../scripts/setup.mjs';

const UNCONTENDED = 100_000;
const FENCES = 300;
const RUNS = 3;
/** A relay's trigger may take as many messages of the channel, at most. */
const RELAY_MAX = 2.5;

/**
 * @typedef {object} FenceResults
 * @property {Record<'message' | 'plain' | 'shared' | 'relay', number>} microseconds medians, from trigger to awake
 * @property {Record<'message' | 'relay', number>} channel the same over the loopback channel: until a client is awake by a message of the server's, and by a fence
 * @property {number} systemCalls of as many triggers and resets of a linked fence that nobody sleeps on
 * @property {string} backend how the watcher sleeps
 * @property {number} watcherThreads for 300 fences
 */

/**
 * @param {string} dir for temporary files
 * @param {number} cycles
 * @returns {FenceResults}
 */
export function measureFences(dir, cycles) {
  const program = build('shmfence', 'fence-bench');
  const threads = JSON.parse(run(program, ['--threads', String(FENCES)]));
  return {
    microseconds: JSON.parse(run(program, ['--cycles', String(cycles)])),
    channel: JSON.parse(run(build('x11bridge-core', 'channel-fences'), [String(cycles)])),
    systemCalls: Math.max(0, countCalls(dir, program, UNCONTENDED) - countCalls(dir, program, 0)),
    backend: threads.backend,
    watcherThreads: threads.watcher_threads,
  };
}

/** @param {FenceResults} results */
export function reportFences({ microseconds, channel, systemCalls, backend, watcherThreads }) {
  const { message, plain, shared, relay } = microseconds;
  const line = (/** @type {string} */ name, /** @type {number} */ value, /** @type {number} */ unit = message) =>
    `  ${name.padEnd(46)}${value.toFixed(1).padStart(7)} µs${`${(value / unit).toFixed(2)} × a message`.padStart(20)}`;
  const relayed = channel.relay / channel.message;
  const verdict = (/** @type {boolean} */ met, /** @type {string} */ text) => `  ${met ? 'met   ' : 'MISSED'}  ${text}`;
  return [
    'Fences over the loopback channel, from trigger to awake; the message is one of the server’s:',
    line('a message, one way', channel.message, channel.message),
    line('over a relay', channel.relay, channel.message),
    verdict(relayed <= RELAY_MAX, `a relayed trigger: ${relayed.toFixed(2)} × a message of the channel (at most ${RELAY_MAX})`),
    'The links alone, between two processes; the message is one over a socket pair, the fastest channel that there could be:',
    line('a message, one way', message),
    line('two processes of one kernel, no link', plain),
    line('over a shared link', shared),
    line('over a relay', relay),
    verdict(systemCalls === 0, `${UNCONTENDED} triggers and resets over a shared link that nobody waits for: ${systemCalls} system calls (at most 0)`),
    verdict(watcherThreads === 1, `${FENCES} fences watched by ${backend}: ${watcherThreads} thread${watcherThreads === 1 ? '' : 's'} (at most 1)`),
  ].join('\n');
}

/** @param {FenceResults} results */
export function fencesAreGood({ channel, systemCalls, watcherThreads }) {
  return channel.relay <= RELAY_MAX * channel.message && systemCalls === 0 && watcherThreads === 1;
}

/** @param {string} crate @param {string} example */
function build(crate, example) {
  const args = ['build', '--release', '--package', crate, '--example', example, '--message-format=json-render-diagnostics'];
  const done = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
  if (done.status !== 0) throw new StepError('the benchmark of fences could not be built; what cargo says is above');
  const messages = done.stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
  return messages.find((message) => message.executable && message.target.name === example).executable;
}

/** @param {string} program @param {readonly string[]} args */
function run(program, args) {
  const done = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  if (done.status !== 0) throw new StepError(`the benchmark of fences failed: ${done.stdout}${done.stderr}`);
  return done.stdout;
}

/**
 * How many system calls all threads of the program make in all; the least of some runs, since threads that start and end make one
 * more or less.
 * @param {string} dir
 * @param {string} program
 * @param {number} count
 */
function countCalls(dir, program, count) {
  return Math.min(...Array.from({ length: RUNS }, () => countOnce(dir, program, count)));
}

/** @param {string} dir @param {string} program @param {number} count */
function countOnce(dir, program, count) {
  const log = join(dir, 'system-calls');
  run('strace', ['--follow-forks', '--summary-only', '--output', log, program, '--uncontended', String(count)]);
  const calls = /^\s*100\.00\s+\S+\s+\S+\s+(\d+)/m.exec(readFileSync(log, 'utf8'))?.[1];
  if (calls === undefined) throw new StepError('strace did not say how many system calls there were');
  return Number(calls);
}
