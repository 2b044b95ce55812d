// A client can only hurt itself: whatever one does, a healthy one notices nothing before, during and after it.

import assert from 'node:assert/strict';
import { eventually, finish } from '../support/processes.js';
import { attack, startAttack, type Sight } from './support/attack.js';
import { footprint } from './support/footprint.js';
import { clientEnv, overEveryChannel, serve, stopBridge, type Stage } from './support/stage.js';

/** Well above what the bridge's own heap may grow by meanwhile, well below what such a client asks for. */
const STALLED_KIB_MAX = 16 << 10;

overEveryChannel('a client can only hurt itself', (stage) => {
  /** Scripts that a display may answer in its own way, as long as it answers. */
  const scripts: readonly [string, readonly string[]][] = [
    ['sends garbage instead of a set-up', ['garbage', '--seed', '1']],
    ['sends garbage behind the mark of a little-endian client', ['garbage', '--seed', '2', '--first', '108']],
    ['sends garbage behind the mark of a big-endian client', ['garbage', '--seed', '3', '--first', '66']],
    ['dies after any number of bytes', ['die']],
    ['dies after any number of bytes, big-endian', ['die', '--order', 'big']],
    ['sends unknown requests full of noise', ['unknown-requests']],
    ['sends a request of length zero', ['zero-length']],
    ['sends a request of length zero in the BIG-REQUESTS form', ['zero-length', '--form', 'big']],
    ['sends a descriptor that nobody asked for', ['fds']],
    ['sends 28 descriptors at once', ['fds', '--count', '28']],
    ['sends 29 descriptors at once', ['fds', '--count', '29']],
    ['sends as many descriptors as the kernel carries, again and again', ['fds', '--count', '253', '--messages', '20']],
  ];
  for (const [what, script] of scripts) {
    it(`a client that ${what} disturbs nobody`, async () => {
      const sight = await whileWatched(stage, () => attack(stage.env('bridged'), ...script));
      assert.equal(sight['error'], undefined);
    });
  }

  it('a client that reads nothing disturbs nobody, costs little memory, and loses nothing when it reads again', async () => {
    await whileWatched(stage, async () => {
      const before = footprint(stage.bridge.pid).memoryKib;
      await using stalled = await startAttack(stage.env('bridged'), 'stall');
      await assertHealthy(stage);
      const grown = footprint(stage.bridge.pid).memoryKib - before;
      assert.ok(grown < STALLED_KIB_MAX, `48 MB wait at the server, the bridge grew by ${grown} KiB`);
      assert.deepEqual(await stalled.release(), { replies: 48 });
    });
  });

  it('a client that stops in the middle of its set-up disturbs nobody', async () => {
    await whileWatched(stage, async () => {
      await using half = await startAttack(stage.env('bridged'), 'half-setup');
      await assertHealthy(stage);
      await half.release();
    });
  });

  it('a client that is stopped by a signal disturbs nobody', async () => {
    await whileWatched(stage, async () => {
      await using stopped = await startAttack(stage.env('bridged'), 'watch');
      stopped.running.child.kill('SIGSTOP');
      await assertHealthy(stage);
      stopped.running.child.kill('SIGCONT');
      assert.deepEqual(await stopped.release(), { healthy: true });
    });
  });

  it('a client that is killed disturbs nobody', async () => {
    await whileWatched(stage, async () => {
      await using killed = await startAttack(stage.env('bridged'), 'watch');
      killed.running.child.kill('SIGKILL');
    });
  });

  it('when the bridge runs out of descriptors newcomers are refused at once, and the others go on', async () => {
    const bridge = await serve(stage.host, ['--channel', stage.channel]);
    try {
      const env = clientEnv(bridge.display, bridge.xauthority, stage.folder.path);
      await using early = await startAttack(env, 'watch');
      const { fds } = footprint(bridge.pid);
      assert.equal((await finish('prlimit', ['--pid', String(bridge.pid), `--nofile=${fds + 20}`])).code, 0);
      const refused = String((await attack(env, 'crowd', '--count', '60'))['error']);
      assert.doesNotMatch(refused, /temporarily unavailable|undefined/, 'it must not be left waiting');
      assert.deepEqual(await early.release(), { healthy: true });
      await assertWelcome(env);
    } finally {
      await stopBridge(bridge);
    }
  });

  it('clients above the limit are refused in words, and the next one is welcome when another has left', async () => {
    const bridge = await serve(stage.host, ['--channel', stage.channel, '--clients-max', '3']);
    try {
      const env = clientEnv(bridge.display, bridge.xauthority, stage.folder.path);
      await using crowd = await startAttack(env, 'crowd', '--count', '3');
      assert.match(String((await attack(env, 'watch'))['error']), /\w+ \w+/);
      assert.deepEqual(await crowd.release(), { connections: 3 });
      await assertWelcome(env);
    } finally {
      await stopBridge(bridge);
    }
  });
});

/** Runs the body while a healthy client makes round trips, and asserts that it, and one after it, noticed nothing. */
async function whileWatched<T>(stage: Stage, body: () => Promise<T>): Promise<T> {
  await using watcher = await startAttack(stage.env('bridged'), 'watch');
  assert.deepEqual(watcher.held, { watching: 1 });
  const result = await body();
  assert.deepEqual(await watcher.release(), { healthy: true });
  await assertHealthy(stage);
  return result;
}

/** Waits for a place: those who have left may still be on their way out. */
async function assertWelcome(env: NodeJS.ProcessEnv): Promise<void> {
  await eventually('the next client is welcome', async () => (await attack(env, 'churn', '--count', '1'))['connections'] === 1);
}

async function assertHealthy(stage: Stage): Promise<void> {
  const sight: Sight = await attack(stage.env('bridged'), 'session');
  assert.equal(sight['error'], undefined);
}
