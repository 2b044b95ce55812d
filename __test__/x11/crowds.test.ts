// Many clients: what the bridge holds for them it gives back.

import assert from 'node:assert/strict';
import { attack, startAttack } from './support/attack.js';
import { footprint, untilFlat, type Footprint } from './support/footprint.js';
import { clientEnv, overEveryChannel, serve, stopBridge, type Stage } from './support/stage.js';

/** Node lets garbage from events lie until its heap is full. A small one doesn't hide by it what really leaks, and where that is an object of JavaScript, it ends the bridge. */
const SMALL_HEAP = { NODE_OPTIONS: '--max-semi-space-size=1 --max-old-space-size=16' };
/** What may come and go with the garbage of that heap. A leak of 2 KiB for each of 4,000 connections shows. */
const MEMORY_GROWTH_MAX_KIB = 4096;

overEveryChannel('many clients', (stage) => {
  it('1,000 connections opened and closed leave no descriptor, thread or memory behind', async () => {
    await assertFlat(stage, async (env) => {
      assert.deepEqual(await attack(env, 'churn', '--count', '1000'), { connections: 1000 });
    });
  });

  it('200 connections at once all work, and leave no descriptor, thread or memory behind', async () => {
    await assertFlat(stage, async (env) => {
      await using crowd = await startAttack(env, 'crowd', '--count', '200');
      assert.deepEqual(crowd.held, { open: 200 });
      assert.deepEqual(await crowd.release(), { connections: 200 });
    });
  });
});

/** Runs the load six times: caches and heaps may come to their working size in the first two, the others must add nothing. */
async function assertFlat({ host, channel, folder }: Stage, load: (env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const bridge = await serve({ env: { ...host.env, ...SMALL_HEAP } }, ['--channel', channel]);
  try {
    const env = clientEnv(bridge.display, bridge.xauthority, folder.path);
    const idle = footprint(bridge.pid);
    const seen: Footprint[] = [];
    for (const times of [2, 4]) {
      for (let time = 0; time < times; time++) await load(env);
      seen.push(await untilFlat(bridge.pid, seen[0] ?? idle));
    }
    const [first, second] = seen;
    assert.ok(first && second && second.memoryKib - first.memoryKib <= MEMORY_GROWTH_MAX_KIB, JSON.stringify(seen));
  } finally {
    await stopBridge(bridge);
  }
}
