// X servers that are not there, die, and come back: clients never hang, and the bridge stays up.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { unusedDisplay } from '../support/command.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { attack, attackWithin, startAttack } from './support/attack.js';
import { CHANNELS, clientEnv, serve, stopBridge, type Channel } from './support/stage.js';

/** Much longer than a client waits for an answer when there is no server, as busy machines need it. */
const TOLD_WITHIN_MS = 60_000;

for (const channel of CHANNELS) {
  describe(`a server that comes and goes over ${channel}`, () => {
    it('while it is absent a client is told so, with its name, and the next one works when it has come', async () => {
      await withBridge(channel, async ({ env, hostDisplay, startServer }) => {
        const refused = String((await attackWithin(TOLD_WITHIN_MS, env, 'watch'))['error']);
        assert.ok(refused.includes(hostDisplay), `should name ${hostDisplay}: ${refused}`);
        await using _server = await startServer();
        assert.deepEqual(await attack(env, 'churn', '--count', '3'), { connections: 3 });
      });
    });

    it('when it is killed its clients see the end of the stream, and the next one reaches the restarted server', async () => {
      await withBridge(channel, async ({ env, startServer }) => {
        const first = await startServer();
        await using client = await startAttack(env, 'await-end');
        assert.deepEqual(client.held, { connected: 1 });
        process.kill(first.pid, 'SIGKILL');
        assert.equal((await client.ended())['ended'], true);
        await first.stop();
        // It has a new cookie: that is read anew for each connection.
        await using _second = await startServer();
        assert.deepEqual(await attack(env, 'churn', '--count', '3'), { connections: 3 });
      });
    });

    it('while it is stopped its clients wait, and go on when it does', async () => {
      await withBridge(channel, async ({ env, startServer }) => {
        await using server = await startServer();
        await using client = await startAttack(env, 'watch');
        process.kill(server.pid, 'SIGSTOP');
        const late = attack(env, 'churn', '--count', '1');
        process.kill(server.pid, 'SIGCONT');
        assert.deepEqual(await client.release(), { healthy: true });
        assert.deepEqual(await late, { connections: 1 });
      });
    });

    it('when it starts anew after its last client, what a policy has to ask first does not make it do so', async () => {
      await withBridge(
        channel,
        async ({ env, startServer }) => {
          await using _server = await startServer(['-reset']);
          assert.deepEqual(await attack(env, 'churn', '--count', '1'), { connections: 1 });
        },
        ['--policy', 'guest'],
      );
    });
  });
}

interface Scene {
  readonly env: NodeJS.ProcessEnv;
  /** Where the server is to be, whether it is or not. */
  readonly hostDisplay: string;
  startServer(args?: readonly string[]): Promise<Xvfb>;
}

/** A bridge in front of a display number that has no server yet. */
async function withBridge(channel: Channel, body: (scene: Scene) => Promise<void>, args: readonly string[] = []): Promise<void> {
  using folder = new TemporaryFolder();
  const hostDisplay = unusedDisplay();
  const hostXauthority = folder.file('Xauthority-of-host');
  const host = clientEnv(hostDisplay, hostXauthority, folder.path);
  const bridge = await serve({ env: { ...process.env, ...host } }, ['--channel', channel, ...args]);
  const startServer = async (more: readonly string[] = []): Promise<Xvfb> => {
    const server = await startXvfb({ auth: true, args: [hostDisplay, ...more] });
    if (server.xauthority !== undefined) copyFileSync(server.xauthority, hostXauthority);
    return server;
  };
  try {
    await body({ env: clientEnv(bridge.display, bridge.xauthority, folder.path), hostDisplay, startServer });
  } finally {
    await stopBridge(bridge);
  }
}
