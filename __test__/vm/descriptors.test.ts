// Memory that guest and host share: GPU buffers and segments of MIT-SHM, in a real guest over the virtio-gpu device.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { eventually, finish } from '../support/processes.js';
import { clientProgram, type Client, type Sight } from '../x11/support/attack.js';
import { footprint, untilFlat } from '../x11/support/footprint.js';
import { extent, times } from './support/extent.js';
import { inOneGuest, type GuestPlace } from './support/place.js';

const SEGMENTS = join(ROOT, 'build/shims/segments');
const FRAMES = extent({ quick: 100, all: times(1000) });
/** Sizes of their buffers, by turns: each frame is a resized one. */
const SIZES = 5;
/** Every frame maps its memory into the guest anew, which takes some ten milliseconds on a machine without KVM. */
const FRAMES_LIMIT_MS = 1_500 * FRAMES + 120_000;
/** Bytes of all frames' pixels, of which none is to cross the connection; there are some hundred of protocol for each. */
const FRAME_BYTES = 32 * 32 * 4;
/** The major number of DRM devices, and the first minor one of those that render. */
const DRM = 226;
const FIRST_RENDER_NODE = 128;
/** The codes of a `Value`, a `Match`, a `Drawable`, and an `Access` error. */
const BAD_VALUE = 2;
const BAD_MATCH = 8;
const BAD_DRAWABLE = 9;
const BAD_ACCESS = 10;

inOneGuest(
  'memory that guest and host share',
  ['--log-level', 'info'],
  (place) => {
    it('buffers of one to four planes are the same memory on both sides, whoever made them', async () => {
      const inside = await sight(place, 'x11-descriptors', 'servers');
      assert.deepEqual(inside, await outside(place, 'x11-descriptors', 'servers'));
      const { planes, pixmap } = inside as { planes: Sight[]; pixmap: Sight };
      assert.deepEqual(planes.map(({ returned }) => returned), [[true], [true, true], [true, true, true], [true, true, true, true]]);
      assert.deepEqual([pixmap['seen'], pixmap['shown']], [[true, true], true]);
    });

    it('pages of fences, the client\'s and the server\'s, are those that a client on the host gets, and are kept alike', async () => {
      for (const options of [[], ['--order', 'big']]) {
        const direct = await outside(place, 'x11-descriptors', 'exports', ...options);
        assert.deepEqual(await sight(place, 'x11-descriptors', 'exports', ...options), direct);
      }
    });

    it('a device is one of the guest, and a drawable that there is not gets the error of a server', async () => {
      const { counts, device, nowhere } = (await sight(place, 'x11-descriptors', 'opens')) as { counts: Sight; device: [number, number]; nowhere: Sight };
      assert.deepEqual(counts, { said: 1, first: 1, late: 0 });
      assert.equal(device[0], DRM);
      assert.ok(device[1] >= FIRST_RENDER_NODE);
      const direct = await outside(place, 'x11-descriptors', 'opens');
      assert.deepEqual(nowhere, direct['nowhere']);
      assert.equal(nowhere['code'], BAD_DRAWABLE);
    });

    it('descriptors that are no buffers get the error of a server for missing ones, and the client goes on', async () => {
      const seen = (await sight(place, 'x11-descriptors', 'faults')) as Record<string, (Sight | 'ok')[]>;
      const codes = (what: string) => (seen[what] ?? []).map((outcome) => (outcome === 'ok' ? outcome : outcome['code']));
      for (const what of ['pipe', 'directory', 'device', 'too short', 'empty', 'read-only', 'sealed', 'none']) {
        assert.deepEqual(codes(what).slice(0, 2), [BAD_VALUE, BAD_VALUE], what);
      }
      // A segment is copied, so that one which could be mapped here is none of them.
      const attached = ['pipe', 'directory', 'device', 'too short', 'empty', 'read-only', 'sealed', 'none'].map((what) => codes(what)[3]);
      assert.deepEqual(attached, [BAD_MATCH, BAD_ACCESS, BAD_MATCH, 'ok', BAD_MATCH, BAD_ACCESS, BAD_ACCESS, BAD_MATCH]);
    });

    it('segments that programs share by descriptor are drawn, and those that the server makes are one memory', async () => {
      for (const order of ['little', 'big']) {
        assert.deepEqual(await sight(place, 'x11-attack', 'attach-fd', '--order', order), { shm: 'present', drawn: true });
      }
      assert.deepEqual(await sight(place, 'x11-attack', 'create-segment'), { shm: 'present', fds: [1, 0], drawn: true });
    });

    it('System V segments carry images both ways, with the events, replies and errors of the server itself', async () => {
      const { stdout } = await place.guest.run(`'${SEGMENTS}' images`);
      const direct = await finish(SEGMENTS, ['images', '0'], { env: place.env(place.direct) });
      assert.match(stdout, /^whole: 0 wrong pixels$/m);
      assert.equal(stdout, direct.stdout);
    });

    it(`no pixel of ${FRAMES} frames crosses the connection, and nothing is left of them`, async function () {
      this.timeout(FRAMES_LIMIT_MS);
      const monitor = place.guest.command.child.pid ?? 0;
      const frames = (count: number) => sight(place, 'x11-descriptors', 'frames', '--count', String(count), '--sizes', String(SIZES));
      await frames(10);
      const before = footprint(monitor);
      const inside = await heldInGuest(place);
      assert.deepEqual(await frames(FRAMES), { errors: [], right: FRAMES, wrong: [] });
      const closed = [...place.guest.command.stderr.matchAll(/context \d+ closed after (\d+) bytes to the X server/g)];
      const bytes = Number(closed.at(-1)?.[1]);
      assert.ok(bytes > 0 && bytes < (FRAMES * FRAME_BYTES) / 8, `${bytes} bytes`);
      await untilFlat(monitor, before);
      await eventually('the guest holds what it held before', async () => (await heldInGuest(place)) === inside);
      const { stdout } = await place.guest.run('dmesg | grep -c "virtio_gpu.*ERROR"');
      assert.equal(stdout.trim(), '0');
    });
  },
  { dri3: true },
);

/** Descriptors and threads of the bridge in the guest once it is at rest, and how much of the window its driver has given away. */
async function heldInGuest(place: GuestPlace): Promise<string> {
  await place.guest.run('mount -t debugfs debugfs /sys/kernel/debug');
  // The shell's parent is the bridge, whose threads for clients linger for a moment.
  await eventually('the bridge is at rest', async () => (await place.guest.run("grep -qs -e x11-client -e x11bridge-watch /proc/$PPID/task/*/comm")).code === 1);
  const { stdout, stderr } = await place.guest.run('ls /proc/$PPID/fd | wc -l; ls /proc/$PPID/task | wc -l; grep used /sys/kernel/debug/dri/0/virtio-gpu-host-visible-mm');
  assert.match(stdout, /^\d+\n\d+\ntotal: \d+, used \d+ free \d+\n$/, stderr);
  return stdout;
}

/** What a client of the testkit saw in the guest. */
async function sight(place: GuestPlace, client: Client, ...args: readonly string[]): Promise<Sight> {
  const { stdout, stderr } = await place.guest.run([clientProgram(client), ...args].map((word) => `'${word}'`).join(' '));
  assert.match(stdout, /^\{/m, stderr);
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Sight;
}

/** What the same client saw outside. */
async function outside(place: GuestPlace, client: Client, ...args: readonly string[]): Promise<Sight> {
  const { stdout } = await finish(clientProgram(client), args, { env: place.env(place.direct) });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Sight;
}
