// What the bridge asks of the driver, counted by strace: EXECBUFFERs and events for each MiB and each round trip.

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
 */

/** What is counted is the difference of two runs: starting and ending cost the same in both. In seconds. */
const SHORT = 0.05;
const LONG = 2;
/** x11-bench asserts first that what it measures is right, and strace makes that slow. */
const RUN_LIMIT_MS = 10 * 60_000;
/** What one PutImage or GetImage of x11-bench moves. */
const IMAGE_MIB = (500 * 500 * 4) / (1 << 20);

/** Lines of strace; it names the driver's calls. A read of an event brings eight bytes of a type and a length. */
const CALLS = {
  execbuffers: / ioctl\(\d+, [^,]*VIRTGPU_EXECBUFFER/g,
  ioctls: / ioctl\(\d+, [^,]*DRM_IOCTL/g,
  events: / read\(\d+, "[^"]*\\220\\[^"]*"(\.\.\.)?, \d+\) += (8|16|24|32)$/gm,
  receives: / recvmsg\(.* = [1-9]\d*$/gm,
  sends: / sendmsg\(.* = [1-9]\d*$/gm,
};

/** @typedef {Record<keyof typeof CALLS, number>} CallCounts */

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
  };
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} bench
 * @param {string} measure
 * @returns {Promise<CallCounts>}
 */
async function perMeasure(lab, bench, measure) {
  const short = await traced(lab, bench, measure, SHORT);
  const long = await traced(lab, bench, measure, LONG);
  const more = long.measures - short.measures;
  const names = /** @type {(keyof typeof CALLS)[]} */ (Object.keys(CALLS));
  return /** @type {CallCounts} */ (Object.fromEntries(names.map((name) => [name, (long.calls[name] - short.calls[name]) / more])));
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
  const tracing = ['-I', '2', '-f', '--seccomp-bpf', '-e', 'trace=ioctl,read,recvmsg,sendmsg', '-o', file];
  const child = lab.start('strace', [...tracing, execPath, CLI, 'serve', '--json', '--channel', 'virtgpu', '--spin', 'off']);
  const ready = JSON.parse(await firstLine(child, child.stdout, 'x11bridge serve under strace'));
  const output = await lab.output(bench, ['--measures', measure, '--seconds', String(seconds)], { DISPLAY: ready.display, XAUTHORITY: ready.xauthority }, RUN_LIMIT_MS);
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  await ended;
  const text = readFileSync(file, 'utf8');
  const names = /** @type {(keyof typeof CALLS)[]} */ (Object.keys(CALLS));
  const calls = /** @type {CallCounts} */ (Object.fromEntries(names.map((name) => [name, text.match(CALLS[name])?.length ?? 0])));
  return { measures: JSON.parse(output.toString())[measure].count, calls };
}
