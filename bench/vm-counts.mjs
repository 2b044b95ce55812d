// What the bridge asks of the driver, counted by strace: EXECBUFFERs and events for each MiB and each round trip, and apart from those
// the questions whether the host half is there.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { CLI, firstLine } from '../scripts/lab.mjs';

/**
 * @typedef {object} Counts
 * @property {number} execbuffersPerMib of PutImage
 * @property {number} ioctlsPerMib
 * @property {number} execbuffersPerMibBack of GetImage
 * @property {number} eventsPerMibBack events of fences that were read
 * @property {number} execbuffersPerTrip
 * @property {number} ioctlsPerTrip
 * @property {number} eventsPerTrip
 * @property {number} receivesPerTrip `recvmsg` that brought something, on the client's socket
 * @property {number} sendsPerTrip `sendmsg`, on the client's socket
 * @property {number} questionsPerSecond EXECBUFFERs of the thread that asks for the host half, while there are clients
 */

/** What is counted is the difference of two runs: starting and ending cost the same in both. In seconds. */
const SHORT = 0.05;
const LONG = 6;
/** x11-bench asserts first that what it measures is right, and strace makes that slow. */
const RUN_LIMIT_MS = 10 * 60_000;
/** What one PutImage or GetImage of x11-bench moves. */
const IMAGE_MIB = (500 * 500 * 4) / (1 << 20);

/** Lines of strace; it names the driver's calls. A read of an event brings eight bytes of a type and a length. */
const CALLS = {
  execbuffers: / ioctl\(\d+, [^,]*VIRTGPU_EXECBUFFER/,
  ioctls: / ioctl\(\d+, [^,]*DRM_IOCTL/,
  events: / read\(\d+, "[^"]*\\220\\[^"]*"(\.\.\.)?, \d+\) += (8|16|24|32)$/,
  receives: / recvmsg\(.* = [1-9]\d*$/,
  sends: / sendmsg\(.* = [1-9]\d*$/,
};

/** The thread that asks whether the host half is there; at the start of a line of strace, behind its number. */
const ASKING = /^\d+<x11bridge-watch> /;

/** @typedef {Record<keyof typeof CALLS | 'questions', number>} CallCounts */

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} bench
 * @param {(text: string) => void} say progress
 * @returns {Promise<Counts>}
 */
export async function countSystemCalls(lab, bench, say) {
  say('system calls');
  const put = await perMeasure(lab, bench, 'putimage');
  const get = await perMeasure(lab, bench, 'getimage');
  const trip = await perMeasure(lab, bench, 'roundtrip');
  return {
    execbuffersPerMib: put.execbuffers / IMAGE_MIB,
    ioctlsPerMib: put.ioctls / IMAGE_MIB,
    execbuffersPerMibBack: get.execbuffers / IMAGE_MIB,
    eventsPerMibBack: get.events / IMAGE_MIB,
    execbuffersPerTrip: trip.execbuffers,
    ioctlsPerTrip: trip.ioctls,
    eventsPerTrip: trip.events,
    receivesPerTrip: trip.receives,
    sendsPerTrip: trip.sends,
    questionsPerSecond: (trip.questions * trip.measures) / (LONG - SHORT),
  };
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} bench
 * @param {string} measure
 * @returns {Promise<CallCounts & { measures: number }>} `measures`: how often it was done
 */
async function perMeasure(lab, bench, measure) {
  const short = await traced(lab, bench, measure, SHORT);
  const long = await traced(lab, bench, measure, LONG);
  const measures = long.measures - short.measures;
  const names = /** @type {(keyof CallCounts)[]} */ (Object.keys(long.calls));
  const calls = /** @type {CallCounts} */ (Object.fromEntries(names.map((name) => [name, (long.calls[name] - short.calls[name]) / measures])));
  return { ...calls, measures };
}

/**
 * One run through a bridge of its own, with all that the bridge did.
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} bench
 * @param {string} measure
 * @param {number} seconds
 */
async function traced(lab, bench, measure, seconds) {
  const file = join(lab.dir, `strace-${measure}-${seconds}`);
  // --seccomp-bpf: the calls that aren't counted don't stop the bridge. -I 2: strace ends when it is told to, and tells the bridge.
  const tracing = ['-I', '2', '-f', '--seccomp-bpf', '--decode-pids=comm', '-e', 'trace=ioctl,read,recvmsg,sendmsg', '-o', file];
  const child = lab.start('strace', [...tracing, execPath, CLI, 'serve', '--json', '--channel', 'virtgpu', '--spin', 'off']);
  const ready = JSON.parse(await firstLine(child, child.stdout, 'x11bridge serve under strace'));
  const output = await lab.output(bench, ['--measures', measure, '--seconds', String(seconds)], { DISPLAY: ready.display, XAUTHORITY: ready.xauthority }, RUN_LIMIT_MS);
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  await ended;
  return { measures: JSON.parse(output.toString())[measure].count, calls: callsIn(readFileSync(file, 'utf8').split('\n')) };
}

/**
 * @param {readonly string[]} lines of strace
 * @returns {CallCounts}
 */
function callsIn(lines) {
  const carrying = lines.filter((line) => !ASKING.test(line));
  const names = /** @type {(keyof typeof CALLS)[]} */ (Object.keys(CALLS));
  const counts = names.map((name) => [name, carrying.filter((line) => CALLS[name].test(line)).length]);
  const questions = lines.filter((line) => ASKING.test(line) && CALLS.execbuffers.test(line)).length;
  return /** @type {CallCounts} */ ({ ...Object.fromEntries(counts), questions });
}
