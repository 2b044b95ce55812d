// Frames of a guest cut short at any moment: the X server of the host or the bridge in the guest is killed, over and over. Clients that are
// killed are tested beside their fences.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'mocha';
import { COMMAND, ROOT } from '../support/command.js';
import { eventually } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { footprint, untilFlat } from '../x11/support/footprint.js';
import { clientEnv } from '../x11/support/stage.js';
import { inTheWholeRun, times } from './support/extent.js';
import { TestGuest } from './support/guest.js';
import { BOOT_LIMIT_MS } from './support/place.js';

const FENCES = join(ROOT, 'build/shims/fences');
/** Where a file is memory of guest and host: its fences are shared, others relayed. */
const SHARED = '/dev/shm';
const ROUNDS = times(6);
/** So long a client may take to notice, in seconds of the guest; a hang is longer than any machine is slow. */
const NOTICED_WITHIN = 60;

inTheWholeRun(() => {
  describe('a guest whose frames are cut short', function () {
    this.timeout((3 + ROUNDS / 2) * BOOT_LIMIT_MS);
    let folder: TemporaryFolder;
    let server: Xvfb;
    let guest: TestGuest;
    // A number that nobody else takes while it is free: others begin at 0.
    const args = [`:${20_000 + (process.pid % 30_000)}`];

    before(async () => {
      folder = new TemporaryFolder();
      server = await newServer();
      guest = await TestGuest.boot({ env: { ...clientEnv(server.display, folder.file('Xauthority'), folder.path), X11BRIDGE_DRI3: 'on' } });
    });
    after(async () => {
      await guest[Symbol.asyncDispose]();
      await server.stop();
      folder[Symbol.dispose]();
    });

    /** A server in the place of the one before, with a cookie of its own: that is read anew for each program. */
    async function newServer(): Promise<Xvfb> {
      const next = await startXvfb({ auth: true, dri3: true, args });
      copyFileSync(next.xauthority ?? '', folder.file('Xauthority'));
      return next;
    }

    const presents = (cycles: number, ...where: string[]) => guest.start(FENCES, ['present', String(cycles), ...where]);
    const aMoment = () => new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 500));

    /** Nothing of those that are gone is left in the host half, and the next program has its frames. */
    async function assertNothingLeft(held: ReturnType<typeof footprint>): Promise<void> {
      const next = await (await presents(20)).finished();
      assert.deepEqual([next.code, next.stdout, next.stderr], [0, 'cycles 20\n', '']);
      await untilFlat(guest.command.child.pid ?? 0, held);
    }

    it(`killing the X server ends its clients ${ROUNDS} times, whatever they wait for`, async () => {
      await (await presents(20)).finished();
      const held = footprint(guest.command.child.pid ?? 0);
      for (let round = 0; round < ROUNDS; round++) {
        const clients = [await presents(100_000_000), await presents(100_000_000, SHARED)];
        await aMoment();
        process.kill(server.pid, 'SIGKILL');
        await server.stop();
        for (const client of clients) {
          const { code } = await guest.script(`timeout ${NOTICED_WITHIN} tail --pid=${client.pid} -f /dev/null`);
          assert.equal(code, 0, `it ends: ${client.stderr}`);
          assert.notEqual((await client.finished()).code, 0);
        }
        server = await newServer();
        await assertNothingLeft(held);
      }
    });

    it(`killing the bridge ${ROUNDS} times leaves nothing on the host, and others go on`, async () => {
      const held = footprint(guest.command.child.pid ?? 0);
      const lasting = await presents(100_000_000);
      for (let round = 0; round < ROUNDS; round++) {
        const ready = guest.file(`ready-${round}`);
        const bridge = await guest.start('sh', ['-c', `exec '${process.execPath}' '${COMMAND}' serve --json --channel virtgpu --dri3 on > '${ready}'`]);
        const started = await guest.run(`timeout ${NOTICED_WITHIN} sh -c "until grep -q '\\"ready\\"' '${ready}'; do sleep 0.1; done"`);
        assert.equal(started.code, 0, bridge.stderr);
        const field = (name: string): string => `$(sed -n 's/.*"${name}":"\\([^"]*\\)".*/\\1/p' '${ready}' | head -n 1)`;
        const client = await guest.start('sh', ['-c', `DISPLAY=${field('display')} XAUTHORITY=${field('xauthority')} exec '${FENCES}' present 100000000 ${round % 2 === 0 ? '' : SHARED}`]);
        await aMoment();
        await bridge.signal('KILL');
        await eventually('the bridge is gone', async () => !(await bridge.isRunning()));
        // Nobody is left to trigger what it sleeps on, as when a server dies that it is connected to directly.
        await client.signal('KILL');
        await client.finished();
        assert.ok(await lasting.isRunning(), lasting.stderr);
      }
      await lasting.signal('KILL');
      await lasting.finished();
      await assertNothingLeft(held);
    });
  });
});
