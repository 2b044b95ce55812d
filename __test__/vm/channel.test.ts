// The channels of the guest half in a real guest: what they choose, what they cost, and what they say when something is missing.

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { COMMAND } from '../support/command.js';
import { eventually, finish, Running, type Finished } from '../support/processes.js';
import { clientProgram } from '../x11/support/attack.js';
import { comparableQueries, withoutHidden } from '../x11/support/queries.js';
import { HIDDEN_FROM_PIPES } from './support/expectations.js';
import { inTheWholeRun } from './support/extent.js';
import { BOOT_LIMIT_MS, inOneGuest, type GuestPlace } from './support/place.js';

/** Calls that are not the same in two runs: Node's, and the questions to the host half. */
const STRAY_CALLS = 40;
/** Two bridges start under strace, which makes Node slow. */
const TRACING_LIMIT_MS = 5 * BOOT_LIMIT_MS;
const NOBODY = 65_534;
/** The tests may lie in the home of root alone, so root it is, but without the right to open what belongs to others. */
const POWERLESS = 'setpriv --bounding-set -dac_override';

inTheWholeRun(() => {
  inOneGuest('the channels in a guest', ['--network'], (place) => {
    it('auto takes the virtio-gpu device, and says which host is behind it', async () => {
      const { code, stderr } = await bridgeIn(place, ['--log-level', 'info'], 'xdpyinfo > /dev/null');
      assert.equal(code, 0, stderr);
      assert.match(stderr, /info: channel virtgpu: the virtio-gpu device of \/dev\/dri\/renderD\d+ leads to the X11 channel of x11bridge/);
    });

    it('a round trip costs two submissions, an event, and a message each way, and no fence', async function () {
      this.timeout(TRACING_LIMIT_MS);
      const { measures, calls } = await costs(place, 'roundtrip', 6);
      assert.ok(measures > 20, `${measures} round trips`);
      // Without looking twice, the thread sleeps twice at most, and finds each side silent before it does.
      const most = { ioctl: 2, sendmsg: 1, recvmsg: 1 + 2, read: 1 + 2, poll: 2, close: 0 };
      for (const [call, each] of Object.entries(most)) {
        const count = calls.get(call) ?? 0;
        assert.ok(count <= 1.1 * each * measures + STRAY_CALLS, `${count} of ${call} for ${measures} round trips`);
      }
    });

    it('an image of a megabyte takes at most 20 submissions', async function () {
      this.timeout(TRACING_LIMIT_MS);
      const { measures, calls } = await costs(place, 'putimage', 4);
      const submissions = calls.get('ioctl') ?? 0;
      assert.ok(submissions <= 20 * measures + STRAY_CALLS, `${submissions} for ${measures} images`);
    });

    it('tcp leads to a listener of the host, and hides what needs descriptors', async () => {
      await using listener = new Running('socat', ['-d', '-d', 'TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr', `UNIX-CONNECT:${place.host.socketPath}`], { limitMs: BOOT_LIMIT_MS });
      const [, port] = await listener.untilOutput(/listening on .*:(\d+)$/m, 'stderr');
      // QEMU's network has the host's own loopback address under this one.
      const channel = `tcp:10.0.2.2:${port}`;
      const cookies = place.guest.file('cookies');
      copyFileSync(place.host.xauthority ?? '', cookies);
      const inside = await bridgeIn(place, ['--channel', channel, '--host-xauthority', cookies], 'xdpyinfo -queryExtensions');
      const outside = await finish('xdpyinfo', ['-queryExtensions'], { env: place.env(place.direct) });
      assert.equal(inside.code, 0, inside.stderr);
      assert.deepEqual(comparableQueries(inside.stdout), withoutHidden(comparableQueries(outside.stdout), HIDDEN_FROM_PIPES));
    });

    it('vsock leads to a listener, and hides what needs descriptors', async function () {
      // Without a device the machine reaches itself alone, and only if its kernel was set up with the module for that.
      if ((await place.guest.run('grep -q vsock_loopback /proc/modules')).code !== 0) this.skip();
      const cookies = place.guest.file('cookies-of-guest');
      await place.guest.run(`cp "$XAUTHORITY" '${cookies}'`);
      await using listener = await place.guest.start('sh', ['-c', 'exec socat -d -d VSOCK-LISTEN:6000,fork UNIX-CONNECT:/tmp/.X11-unix/X${DISPLAY#:}']);
      await eventually('it listens', () => listener.stderr.includes('listening on'));
      const inside = await bridgeIn(place, ['--channel', 'vsock:1:6000', '--host-xauthority', cookies], 'xdpyinfo -queryExtensions');
      const direct = await place.guest.run('xdpyinfo -queryExtensions');
      assert.equal(inside.code, 0, inside.stderr);
      assert.deepEqual(comparableQueries(inside.stdout), withoutHidden(comparableQueries(direct.stdout), HIDDEN_FROM_PIPES));
    });

    it('tcp without a listener, and vsock without a device, tell the program why', async () => {
      for (const [channel, why] of [['tcp:10.0.2.2:9', 'nothing listens there'], ['vsock:2:6000', 'this machine has no vsock device']] as const) {
        const { code, stderr } = await bridgeIn(place, ['--channel', channel], 'xdpyinfo');
        assert.notEqual(code, 0);
        assert.ok(stderr.includes(`can't connect to ${channel}: ${why}; `), stderr);
      }
    });

    it('without permission to the device virtgpu says so, and auto takes the next', async () => {
      await place.guest.run(`chmod 600 /dev/dri/renderD*; chown ${NOBODY} /dev/dri/renderD*`);
      try {
        const refused = await bridgeIn(place, ['--channel', 'virtgpu'], 'true', POWERLESS);
        assert.equal(refused.code, 1, refused.stderr);
        assert.match(refused.stderr, /^x11bridge: permission to open \/dev\/dri\/renderD\d+ is denied; become a member of its group, which is mostly named render\n$/);
        const other = await bridgeIn(place, ['--log-level', 'info'], 'true', POWERLESS);
        assert.equal(other.code, 0, other.stderr);
        assert.match(other.stderr, /info: channel socket: .*; not virtgpu: permission to open .* is denied; .*; not vsock: /);
      } finally {
        await place.guest.run('chmod 666 /dev/dri/renderD*; chown 0 /dev/dri/renderD*');
      }
    });

    it('an X server that has stopped holds up its own clients alone, and they go on with it', async () => {
      const flood = await place.guest.start('x11perf', ['-repeat', '1', '-reps', '40', '-putimage500']);
      await place.guest.run(`timeout 60 sh -c 'until xwininfo -root -tree | grep -q "[1-9] child"; do sleep 0.1; done'`);
      process.kill(place.host.pid, 'SIGSTOP');
      try {
        const { code, stderr } = await bridgeIn(place, ['--host-timeout', '1'], 'xdpyinfo');
        assert.notEqual(code, 0);
        assert.match(stderr, /x11bridge: the X server( behind virtgpu)? did not answer (within 1 s|in time)/);
        // The machine's queue is not full: commands for the device are still taken.
        assert.ok(await flood.isRunning(), flood.stderr);
      } finally {
        process.kill(place.host.pid, 'SIGCONT');
      }
      assert.equal((await flood.finished()).code, 0, flood.stderr);
    });
  });
});

/** Runs a line of shell in a bridge of its own, inside the guest. */
function bridgeIn(place: GuestPlace, options: readonly string[], line: string, as = ''): Promise<Finished> {
  return place.guest.run(`${as} '${process.execPath}' '${COMMAND}' run ${options.join(' ')} -- sh -c '${line}'`);
}

/** How often x11-bench did what it measures, and the bridge's system calls for that; what comes before and after is taken off. */
async function costs(place: GuestPlace, measure: string, seconds: number): Promise<{ measures: number; calls: ReadonlyMap<string, number> }> {
  const short = await traced(place, measure, 0.05);
  const long = await traced(place, measure, seconds);
  const calls = [...long.calls].map(([call, count]) => [call, count - (short.calls.get(call) ?? 0)] as const);
  return { measures: long.measures - short.measures, calls: new Map(calls) };
}

async function traced(place: GuestPlace, measure: string, seconds: number): Promise<{ measures: number; calls: ReadonlyMap<string, number> }> {
  const [counts, ready] = [place.guest.file('strace'), place.guest.file('ready')];
  const field = (name: string): string => `$(sed -n 's/.*"${name}":"\\([^"]*\\)".*/\\1/p' '${ready}' | head -n 1)`;
  const { code, stdout, stderr } = await place.guest.run(`
    strace -f -c -o '${counts}' '${process.execPath}' '${COMMAND}' serve --json --channel virtgpu --spin off > '${ready}' & tracer=$!
    until grep -q ready '${ready}'; do sleep 0.1; done
    DISPLAY=${field('display')} XAUTHORITY=${field('xauthority')} '${clientProgram('x11-bench')}' --measures ${measure} --seconds ${seconds}
    status=$?; kill -TERM $(pgrep -P $tracer); wait $tracer; exit $status`);
  assert.equal(code, 0, stdout + stderr);
  const { [measure]: result } = JSON.parse(stdout) as Record<string, { count: number }>;
  // % time, seconds, µs per call, calls, errors if any, name
  const rows = readFileSync(counts, 'utf8').matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$/gm);
  const calls = [...rows].map(([, count, call]) => [(call ?? '').replace('ppoll', 'poll'), Number(count)] as const);
  return { measures: result?.count ?? 0, calls: new Map(calls) };
}
