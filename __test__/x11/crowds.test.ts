// Many clients: what the bridge holds for them it gives back.

import assert from 'node:assert/strict';
import { attack, startAttack } from './support/attack.js';
import { footprint, untilFlat, type Footprint } from './support/footprint.js';
import { clientEnv, overEveryChannel, serve, stopBridge, type Stage } from './support/stage.js';

/** Node lets garbage from events lie until this heap is full: a small one keeps it from hiding what really leaks. */
const SMALL_HEAP = { NODE_OPTIONS: '--max-semi-space-size=1' };
/** What may come and go with the garbage of that heap. */
const MEMORY_GROWTH_MAX_KIB = 4096;
/** After so many rounds caches and heaps have come to their working size. */
const WARM = 2;
/** Rounds that must add nothing: of 1,000 connections each, so that a leak of 1 KiB for each shows. */
const ROUNDS = 5;
/** As many more may be needed until a look finds the garbage gone. */
const MORE_MAX = 6;

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

/** Runs the load again and again, which must add nothing once everything is warm. */
async function assertFlat({ host, channel, folder }: Stage, load: (env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const bridge = await serve({ env: { ...host.env, ...SMALL_HEAP } }, ['--channel', channel]);
  try {
    const env = clientEnv(bridge.display, bridge.xauthority, folder.path);
    const idle = footprint(bridge.pid);
    const seen: Footprint[] = [];
    const hasGrown = (): boolean => (seen.at(-1)?.memoryKib ?? 0) - (seen[WARM - 1]?.memoryKib ?? 0) > MEMORY_GROWTH_MAX_KIB;
    while (seen.length < WARM + ROUNDS || hasGrown()) {
      assert.ok(seen.length < WARM + ROUNDS + MORE_MAX, JSON.stringify([idle, ...seen]));
      await load(env);
      seen.push(await untilFlat(bridge.pid, idle));
    }
  } finally {
    await stopBridge(bridge);
  }
}
