// Xwayland with DRI3 1.4 on a device of the kernel's, and a bridge between it and its clients in the same guest: real buffers, real timelines.

import assert from 'node:assert/strict';
import { after, before } from 'mocha';
import { CHANNELS } from '../x11/support/stage.js';
import { inTheWholeRun } from './support/extent.js';
import { BOOT_LIMIT_MS } from './support/place.js';
import { XwaylandGuest } from './support/xwayland.js';

/** Present's capability of explicit synchronization. */
const SYNCOBJ = 16;
/** The code of a `Request` error. */
const BAD_REQUEST = 1;
/** What Present says of a frame that is shown. */
const COMPLETE = 1;
/** Mesa without a GPU, which says what it uses. */
const MESA = { MESA_LOADER_DRIVER_OVERRIDE: 'kms_swrast', EGL_LOG_LEVEL: 'info', vblank_mode: '0' };
const FRAMES = 300;
const COUNT = `shown=0; while read -r count unit rest; do [ "$unit" = frames ] && shown=$((shown + count)); [ $shown -ge ${FRAMES} ] && exit 0; done; exit 1`;
/** The gears say every five seconds how many frames they have shown, and end when nobody listens any more. */
const GEARS = `stdbuf -oL es2gears_x11 | (${COUNT})`;
/** A guard: without KVM ten frames are drawn in a second, or fewer. */
const SECONDS_MAX = 400;

inTheWholeRun(() => {
  if (process.arch !== 'x64') return;
  describe('Xwayland in a guest, with clients and bridges', function () {
    this.timeout(2 * BOOT_LIMIT_MS);
    const place = new XwaylandGuest();
    before(() => place.open());
    after(() => place.close());

    it('offers DRI3 1.4 and explicit synchronization over socket, and over loopback what that carries', async () => {
      const direct = await place.sight('direct', 'versions');
      const capabilities = Number(direct['capabilities']);
      assert.deepEqual([direct['dri3'], direct['present'], capabilities & SYNCOBJ], [[1, 4], [1, 4], SYNCOBJ]);
      assert.deepEqual(await place.sight('socket', 'versions'), direct);
      assert.deepEqual(await place.sight('loopback', 'versions'), { ...direct, dri3: [1, 2], capabilities: capabilities & ~SYNCOBJ });
    });

    it('waits with a frame for one point of a timeline and signals the next, over socket as directly', async () => {
      const direct = await place.sight('direct', 'timelines');
      const frame = (number: number) => ({
        errors: [],
        early: [],
        events: [[COMPLETE, number]],
        points: [2 * number - 2, 2 * number],
        right: true,
      });
      assert.deepEqual([direct['imported'], direct['created'], direct['frames']], ['ok', 'ok', [frame(1), frame(2), frame(3)]]);
      assert.deepEqual(await place.sight('socket', 'timelines'), direct);
      const { imported } = (await place.sight('loopback', 'timelines')) as { imported: Record<string, unknown> };
      assert.equal(imported['code'], BAD_REQUEST);
    });

    for (const channel of CHANNELS) {
      it(`shows ${FRAMES} frames of Mesa's over DRI3 and ${channel}`, async function () {
        this.timeout(2 * SECONDS_MAX * 1000);
        const { code, stderr } = await place.run(channel, 'timeout', [String(SECONDS_MAX), 'sh', '-c', GEARS], MESA);
        assert.equal(code, 0, stderr);
        assert.match(stderr, /Using DRI3/);
      });
    }
  });
});
