// What a panic in an export is for the JavaScript that called it, shown by an addon that panics, built as the real one is.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

interface Panicking {
  panicking(levels: number): void;
  dropped(): number;
}

const ADDON = process.env['TESTED_PANICKING'] ?? '';
const ROUNDS = 200;

const ALL_DROPPED = (ROUNDS * (ROUNDS + 1)) / 2;

describe('an export that panics', () => {
  it('throws an error that says why, and what it had is dropped', () => {
    const addon = require(ADDON) as Panicking;
    const before = addon.dropped();
    for (let levels = 1; levels <= ROUNDS; levels++) {
      assert.throws(() => addon.panicking(levels), (error) => error instanceof Error && error.message.includes('made up'));
    }
    assert.equal(addon.dropped() - before, ALL_DROPPED);
  });

  it('does so on several threads at once', async () => {
    const code = `const { parentPort } = require('node:worker_threads');
      const addon = require(${JSON.stringify(ADDON)});
      let caught = 0;
      for (let levels = 1; levels <= ${ROUNDS}; levels++) {
        try { addon.panicking(levels); } catch (error) { caught += Number(error.message.includes('made up')); }
      }
      parentPort.postMessage([caught, addon.dropped()]);`;
    const workers = [1, 2, 3].map(() => new Worker(code, { eval: true }));
    const results = await Promise.all(workers.map(async (worker) => ((await once(worker, 'message')) as unknown[])[0]));
    assert.deepEqual(results, workers.map(() => [ROUNDS, ALL_DROPPED]));
    await Promise.all(workers.map((worker) => worker.terminate()));
  });
});
