// Real Mesa over DRI3 and Present, rendering without a GPU into buffers that it shares with the server.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { eventually, type Running } from '../support/processes.js';
import { shim } from '../support/xvfb.js';
import { footprint, untilFlat } from './support/footprint.js';
import { assertSamePicture } from './support/pictures.js';
import { overEveryChannel, SIDES, type Side, type Stage } from './support/stage.js';

/** The clock stands still, and so do the gears: what they look like then depends on the renderer and the bridge alone. */
const STOPPED_CLOCK = { FAKETIME: '2024-03-14 10:09:36' };
const FAKETIME = '/usr/$LIB/faketime/libfaketime.so.1';
const MESA = { LD_PRELOAD: shim('client'), MESA_LOADER_DRIVER_OVERRIDE: 'kms_swrast', EGL_LOG_LEVEL: 'info', LIBGL_DEBUG: 'verbose', vblank_mode: '0' };
/** The wheels' teeth and their shades. */
const GEARS_EDGES = 2000;
/** Without a GPU, on a processor that others use as well. */
const RENDERING_LIMIT_MS = 300_000;

overEveryChannel(
  'Mesa over DRI3',
  (stage) => {
    for (const program of ['es2gears_x11', 'glxgears']) {
      it(`${program} says that it uses DRI3, on both sides`, async () => {
        for (const side of SIDES) {
          await using gears = stage.start(side, program, [], MESA);
          await gears.untilOutput(/Using DRI3/, 'stderr');
        }
      });

      it(`${program} shows the same pixels`, async () => {
        const env = { ...MESA, ...STOPPED_CLOCK, LD_PRELOAD: `${MESA.LD_PRELOAD}:${FAKETIME}` };
        await assertSamePicture(stage, { program, env, edges: GEARS_EDGES });
      });
    }

    it('es2gears leaves nothing behind after 10,000 frames and 1,000 resizes', async function () {
      this.timeout(2 * RENDERING_LIMIT_MS);
      const before = footprint(stage.bridge.pid);
      {
        await using gears = stage.start('bridged', 'stdbuf', ['-oL', 'es2gears_x11'], MESA);
        await gears.untilOutput(/frames in/);
        const running = footprint(stage.bridge.pid);
        const maps = mapsOf(stage.bridge.pid);
        await resize(stage, 1000);
        await eventually('10,000 frames are shown', () => framesOf(gears) >= 10_000, RENDERING_LIMIT_MS);
        assert.equal(gears.child.exitCode, null, gears.stderr);
        await untilFlat(stage.bridge.pid, running);
        await eventually('no mapping is left of any buffer', () => mapsOf(stage.bridge.pid) <= maps);
      }
      await untilFlat(stage.bridge.pid, before);
    });
  },
  { dri3: true },
);

overEveryChannel(
  'with --dri3 off, Mesa',
  (stage) => {
    it('is not offered DRI3, and renders all the same', async () => {
      const { stdout } = await stage.run('bridged', 'xdpyinfo', []);
      assert.match(stdout, /MIT-SHM/);
      assert.doesNotMatch(stdout, /DRI3/);
      await using gears = stage.start('bridged', 'stdbuf', ['-oL', 'es2gears_x11'], { ...MESA, MESA_LOADER_DRIVER_OVERRIDE: '' });
      await gears.untilOutput(/frames in/);
      assert.doesNotMatch(gears.stderr, /Using DRI3/);
    });
  },
  { dri3: true, args: ['--dri3', 'off'] },
);

/** Frames that the program says it has shown. */
function framesOf({ stdout }: Running): number {
  return [...stdout.matchAll(/(\d+) frames in/g)].reduce((sum, [, frames]) => sum + Number(frames), 0);
}

/** Mappings that a process shares with others. */
function mapsOf(pid: number): number {
  return readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter((line) => /^\S+ ...s /.test(line)).length;
}

/** Gives the gears' window other sizes, one after the other. */
async function resize(stage: Stage, times: number, side: Side = 'bridged'): Promise<void> {
  const steps = Array.from({ length: times }, (_, at) => ['windowsize', '%1', String(200 + (at % 100)), String(150 + ((at * 7) % 100)), 'sleep', '0.005']);
  const { code, stderr } = await stage.run(side, 'xdotool', ['search', '--name', 'es2gears|OpenGL', ...steps.flat()]);
  assert.equal(code, 0, stderr);
}
