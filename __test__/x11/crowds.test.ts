// Many clients: what the bridge holds for them it gives back.

import assert from 'node:assert/strict';
import { attack, startAttack } from './support/attack.js';
import { footprint, untilFlat } from './support/footprint.js';
import { overEveryChannel, type Stage } from './support/stage.js';

/** What may remain: a leak of one 4 KiB page or more for each of 1,000 connections shows, the garbage of Node's heap does not. */
const MEMORY_GROWTH_MAX_KIB = 4 * 1000;

overEveryChannel('many clients', (stage) => {
  it('1,000 connections opened and closed leave no descriptor, thread or memory behind', async function () {
    this.timeout(60_000);
    await assertFlat(stage, async () => {
      assert.deepEqual(await attack(stage.env('bridged'), 'churn', '--count', '1000'), { connections: 1000 });
    });
  });

  it('200 connections at once all work, and leave no descriptor, thread or memory behind', async function () {
    this.timeout(60_000);
    await assertFlat(stage, async () => {
      await using crowd = await startAttack(stage.env('bridged'), 'crowd', '--count', '200');
      assert.deepEqual(crowd.held, { open: 200 });
      assert.deepEqual(await crowd.release(), { connections: 200 });
    });
  });
});

/** Runs the load twice: what the first run leaves, caches and heaps at their working size, the second must not add to. */
async function assertFlat({ bridge }: Stage, load: () => Promise<void>): Promise<void> {
  const idle = footprint(bridge.pid);
  await load();
  const before = await untilFlat(bridge.pid, idle);
  await load();
  const after = await untilFlat(bridge.pid, before);
  assert.ok(after.memoryKib - before.memoryKib <= MEMORY_GROWTH_MAX_KIB, JSON.stringify({ before, after }));
}
