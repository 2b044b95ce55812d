// Fences between a program in a guest that uses the real libxshmfence, and an X server of the host: two kernels.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { eventually } from '../support/processes.js';
import { extent } from './support/extent.js';
import { inOneGuest } from './support/place.js';

const FENCES = join(ROOT, 'build/shims/fences');
/** In the whole run as many as it takes to meet a lost wake that is rare. */
const CYCLES = extent({ quick: 500, all: 100_000 });
const KILLED = extent({ quick: 5, all: 40 });

inOneGuest(
  'fences in a guest',
  [],
  (place) => {
    for (const [mode, cycles] of [
      ['present', CYCLES],
      ['trigger', CYCLES / 10],
    ] as const) {
      it(`${cycles} cycles of ${mode} and await lose no wake`, async function () {
        this.timeout(1_500_000);
        const { code, stdout, stderr } = await place.guest.run(`'${FENCES}' ${mode} ${cycles}`);
        assert.deepEqual([code, stdout, stderr], [0, `cycles ${cycles}\n`, '']);
      });
    }

    it('a program full of signals loses none either', async () => {
      const { code, stdout, stderr } = await place.guest.run(`'${FENCES}' signals 200`);
      assert.deepEqual([code, stdout, stderr], [0, 'cycles 200\n', '']);
    });

    it('clients that are killed at any moment, on a machine under load, do others no harm', async function () {
      this.timeout(900_000);
      await using load = await place.guest.start('sh', ['-c', 'while :; do :; done']);
      const lasting = await place.guest.start(FENCES, ['present', String(CYCLES / 10)]);
      for (let round = 0; round < KILLED; round++) {
        await using client = await place.guest.start(FENCES, ['present', '100000000']);
        await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 300));
        await client.signal('KILL');
        await eventually('it is gone', async () => !(await client.isRunning()));
      }
      await load.signal('KILL');
      assert.equal((await lasting.finished()).stdout, `cycles ${CYCLES / 10}\n`);
    });
  },
  { dri3: true },
);
