// Fences relayed between a client and a server that share no page, as over two kernels: loopback does it on request.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { eventually, type Running } from '../support/processes.js';
import { shim } from '../support/xvfb.js';
import { descriptors } from './support/attack.js';
import { footprint, untilFlat } from './support/footprint.js';
import { assertSamePicture } from './support/pictures.js';
import { overEveryChannel } from './support/stage.js';

const STOPPED_CLOCK = { FAKETIME: '2024-03-14 10:09:36' };
const FAKETIME = '/usr/$LIB/faketime/libfaketime.so.1';
const MESA = { LD_PRELOAD: shim('client'), MESA_LOADER_DRIVER_OVERRIDE: 'kms_swrast', EGL_LOG_LEVEL: 'info', vblank_mode: '0' };
const GEARS_EDGES = 2000;

overEveryChannel(
  'fences that are relayed',
  (stage) => {
    for (const [who, options] of [
      ['a little-endian client', []],
      ['a big-endian client', ['--order', 'big']],
      ['a client of BIG-REQUESTS', ['--form', 'big']],
    ] as const) {
      it(`${who} sees of fences, its own and the server's, what it sees of shared ones`, async () => {
        const [direct, bridged] = await Promise.all([descriptors(stage.env('direct'), 'fences', ...options), descriptors(stage.env('bridged'), 'fences', ...options)]);
        assert.deepEqual(bridged, direct);
      });

      it(`${who} sends fences in the shapes that Mesa and lavapipe do`, async () => {
        const [direct, bridged] = await Promise.all([descriptors(stage.env('direct'), 'shapes', ...options), descriptors(stage.env('bridged'), 'shapes', ...options)]);
        assert.deepEqual(bridged, direct);
      });
    }

    for (const [what, mode, cycles] of [
      ['presents and sleeps until its pixmap is idle', 'present', 20_000],
      ['asks the server to trigger', 'trigger', 20_000],
      ['is full of signals', 'signals', 3000],
    ] as const) {
      it(`a client of libxshmfence that ${what} is woken ${cycles} times`, async () => {
        const { code, stdout, stderr } = await stage.run('bridged', program('fences'), [mode, String(cycles)]);
        assert.deepEqual([code, stdout, stderr], [0, `cycles ${cycles}\n`, '']);
      });
    }

    it('clients that are killed at any moment leave nothing behind, and others go on', async () => {
      await stage.run('bridged', program('fences'), ['present', '10']);
      const before = footprint(stage.bridge.pid);
      const lasting = stage.run('bridged', program('fences'), ['present', '20000']);
      for (let round = 0; round < 20; round++) {
        await using client = stage.start('bridged', program('fences'), ['present', '100000000']);
        await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
        client.child.kill('SIGKILL');
        await client.finished();
      }
      assert.equal((await lasting).stdout, 'cycles 20000\n');
      await untilFlat(stage.bridge.pid, before);
    });

    it('Mesa shows the same pixels over them', async () => {
      const env = { ...MESA, ...STOPPED_CLOCK, LD_PRELOAD: `${MESA.LD_PRELOAD}:${FAKETIME}` };
      await assertSamePicture(stage, { program: 'es2gears_x11', env, edges: GEARS_EDGES });
    });

    it('Mesa shows thousands of frames over them and leaves nothing behind', async function () {
      this.timeout(100_000);
      const before = footprint(stage.bridge.pid);
      {
        await using gears = stage.start('bridged', 'stdbuf', ['-oL', 'es2gears_x11'], MESA);
        await gears.untilOutput(/Using DRI3/, 'stderr');
        await gears.untilOutput(/frames in/);
        const steps = Array.from({ length: 300 }, (_, at) => ['windowsize', '%1', String(200 + (at % 100)), String(150 + ((at * 7) % 100)), 'sleep', '0.005']);
        const { code, stderr } = await stage.run('bridged', 'xdotool', ['search', '--name', 'es2gears|OpenGL', ...steps.flat()]);
        assert.equal(code, 0, stderr);
        await eventually('3,000 frames are shown', () => framesOf(gears) >= 3000);
        assert.equal(gears.child.exitCode, null, gears.stderr);
      }
      await untilFlat(stage.bridge.pid, before);
    });

    for (const [where, wrapper, ...args] of [
      ['under strace', 'strace', '-f', '-qq', '-o', '/dev/null'],
      ['in a sandbox with its own /dev/shm and process ids', 'bwrap', '--dev-bind', '/', '/', '--tmpfs', '/dev/shm', '--unshare-pid', '--proc', '/proc', '--die-with-parent'],
    ] as const) {
      it(`Mesa ${where} presents all the same`, async function () {
        this.timeout(100_000);
        await using gears = stage.start('bridged', wrapper, [...args, 'stdbuf', '-oL', 'es2gears_x11'], MESA);
        await gears.untilOutput(/Using DRI3/, 'stderr');
        await gears.untilOutput(/frames in/);
        // Not by a signal to what is around it, which would leave it running.
        await stage.run('bridged', 'xdotool', ['search', '--name', 'es2gears|OpenGL', 'windowkill', '%1']);
        await gears.finished();
      });
    }
  },
  { dri3: true, args: ['--fences', 'relay'], channels: ['loopback'] },
);

/** A program of the tests' own in C. */
function program(name: string): string {
  return join(ROOT, 'build/shims', name);
}

/** Frames that the program says it has shown. */
function framesOf({ stdout }: Running): number {
  return [...stdout.matchAll(/(\d+) frames in/g)].reduce((sum, [, frames]) => sum + Number(frames), 0);
}
