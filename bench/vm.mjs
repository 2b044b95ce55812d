// `npm run bench:vm`: what the bridge costs in a guest, over virtio-gpu and over TCP, against socat's plain byte pipe over the same TCP;
// all in one guest, in one run.
//
//   npm run bench:vm -- [--quick] [--json FILE] [--check]
//
// A missed target ends it with exit code 1 only with --check.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { buildTestkit, CLI, Lab } from '../scripts/lab.mjs';
import { ROOT, runScript, setup, StepError } from '../scripts/setup.mjs';
import { buildShims } from '../scripts/shims.mjs';
import { setUpVm } from '../scripts/vm-setup.mjs';
import { options } from './options.mjs';
import { busyShare } from './process-stats.mjs';
import { ratio, table } from './report.mjs';

/** In the guest, and without KVM everything takes some ten times as long as outside. */
const EFFORT = { full: { rounds: 5, seconds: 1 }, quick: { rounds: 3, seconds: 0.3 } };
/** The address under which a guest of QEMU's own network reaches this machine. */
const HOST_ADDRESS = '10.0.2.2';
/** A guard against hangs. */
const GUEST_LIMIT_MS = 20 * 60_000;

/** What a MiB of PutImage, and a round trip, may cost at most. */
const COUNTS_MAX = { execbuffersPerMib: 20, execbuffersPerTrip: 2, eventsPerTrip: 1 };
/** They are the difference of two runs, whose starts differ by some calls. */
const COUNTS_TOLERANCE = 1.01;
/** A trigger across the link, until who waits for it is awake, may take as many messages of the channel, at most. */
const FENCES_MAX = { shared: 1.5, relay: 2.5 };
/** Scheduling makes two runs of the same differ by so much. */
const TOLERANCE = 0.95;

/**
 * What the guest answers with; see vm-guest.mjs.
 * @typedef {Record<'reply' | 'relay' | 'shared', number>} Fences medians in microseconds: of a round trip, and of the way up with the trigger of a fence back
 * @typedef {{ kernel: string, results: [string, import('./measure.mjs').Results][], counts: import('./vm-counts.mjs').Counts, fences: Record<'auto' | 'off', Fences> }} Answer
 *   fences by `--spin`
 * @typedef {{ what: string, value: number, bound: string, met: boolean }} Verdict
 */

await runScript(async () => {
  const { quick, json, check } = options();
  await setup({ debian: ['xserver', 'peers', 'fetch', 'shims', 'fences'] });
  await setUpVm();
  buildShims();
  const { bench } = buildTestkit();
  const busy = await busyShare();
  const lab = new Lab();
  try {
    const answer = await measureInGuest(lab, bench, quick ? EFFORT.quick : EFFORT.full);
    const results = new Map(answer.results);
    const verdicts = judge(results, answer);
    const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown processor', cores: cpus().length, kernel: release(), guestKernel: answer.kernel };
    console.log(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; the guest has Linux ${machine.guestKernel}. Others used ${Math.round(busy * 100)} % of the processors.`);
    const trips = Object.entries(answer.fences).map(([spin, trip]) => `Up to the server and back, --spin ${spin}: ${tripOf(trip)}`);
    console.log(`\n${table(results)}\n\n${[...trips, ...verdicts.map(sentence)].join('\n')}`);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, busy, results: Object.fromEntries(results), counts: answer.counts, fences: answer.fences, targets: verdicts }, null, 2)}\n`);
    return check && verdicts.some(({ met }) => !met) ? 1 : 0;
  } finally {
    await lab.close();
  }
});

/**
 * @param {Lab} lab
 * @param {string} bench
 * @param {{ rounds: number, seconds: number }} effort
 * @returns {Promise<Answer>}
 */
async function measureInGuest(lab, bench, effort) {
  const host = await lab.startXvfb({ dri3: true });
  const port = await freePort();
  const server = `UNIX-CONNECT:/tmp/.X11-unix/X${host.env.DISPLAY.slice(1)}`;
  lab.start('socat', [`TCP-LISTEN:${port},bind=127.0.0.1,fork,backlog=256,nodelay`, server], { stdio: 'ignore' });
  const task = JSON.stringify({ bench, effort, address: HOST_ADDRESS, port, xauthority: host.env.XAUTHORITY });
  const args = [CLI, 'vm', '--network', '--', process.execPath, join(ROOT, 'bench/vm-guest.mjs'), task];
  return JSON.parse((await lab.output(process.execPath, args, host.env, GUEST_LIMIT_MS)).toString());
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new StepError('there is no free TCP port');
  return address.port;
}

/**
 * @param {Map<string, import('./measure.mjs').Results>} results
 * @param {Answer} answer
 * @returns {Verdict[]}
 */
function judge(results, { counts, fences }) {
  const costs = Object.entries(COUNTS_MAX).map(([what, max]) => {
    const value = counts[/** @type {keyof typeof COUNTS_MAX} */ (what)];
    return { what, value, bound: `at most ${max}`, met: value <= max * COUNTS_TOLERANCE };
  });
  const rows = /** @type {const} */ (['roundTripP50', 'roundTripP99', 'putImage', 'getImage', 'small']);
  const speeds = rows.map((row) => {
    const value = ratio(results, 'virtgpu', 'socat', row);
    return { what: `${row}, times as good as socat`, value, bound: `at least ${TOLERANCE}`, met: value >= TOLERANCE };
  });
  const links = Object.entries(fences).flatMap(([spin, trip]) => judgeLinks(spin, trip));
  return [...costs, ...speeds, ...links];
}

/**
 * One way is half of a reply's two: the clocks of guest and host are not the same. Both ways to wait are held against the target: while a
 * thread spins it looks at the fence itself, and when it sleeps somebody has to wake it.
 * @param {string} spin
 * @param {Fences} fences
 * @returns {Verdict[]}
 */
function judgeLinks(spin, { reply, ...triggers }) {
  const message = reply / 2;
  return /** @type {const} */ (['shared', 'relay']).map((link) => {
    const value = (triggers[link] - message) / message;
    return { what: `the trigger of a fence, ${link}, --spin ${spin}, times a message one way`, value, bound: `at most ${FENCES_MAX[link]}`, met: value <= FENCES_MAX[link] };
  });
}

/** @param {Fences} fences */
function tripOf({ reply, shared, relay }) {
  return `${reply.toFixed(0)} µs by a reply, ${shared.toFixed(0)} by a shared fence, ${relay.toFixed(0)} by a relayed one`;
}

/** @param {Verdict} verdict */
function sentence({ what, value, bound, met }) {
  return `  ${met ? 'met   ' : 'MISSED'}  ${what}: ${value.toFixed(2)} (${bound})`;
}
