// A changed configuration while clients work: none is lost.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { jsonLines } from '../support/command.js';
import { Running } from '../support/processes.js';
import { startAttack } from './support/attack.js';
import { clientEnv, overEveryChannel, serve, stopBridge, type ServedBridge } from './support/stage.js';

const CLIENTS = 50;
const FILES = ['spin = "off"\nclients-max = 60\n', 'clients-max = 1\nlog-level = "silent"\npolicy = "isolated"\n', 'policy = "no such"\n', 'host-timeout = 600\nclients-max = 60\npolicy = "guest"\nshm = "fd"\n'];

/** What an attacker is answered, by the codes of errors: where everything is allowed, and under `guest`. */
const OPEN = { 'XTEST FakeInput': 0, 'RECORD QueryVersion': 0, 'GetImage of the root': 0, 'GetImage of a window': 0, 'ConfigureWindow of a window': 0, 'GetImage of its own': 0 };
const GUEST = { 'XTEST FakeInput': 1, 'RECORD QueryVersion': 1, 'GetImage of the root': 10, 'GetImage of a window': 10, 'ConfigureWindow of a window': 10, 'GetImage of its own': 0 };

/** Has a bridge read its configuration again, and waits until it says that it has, or why not. */
async function reload({ command, pid }: ServedBridge): Promise<Record<string, unknown>> {
  const told = jsonLines(command.stdout).length;
  process.kill(pid, 'SIGHUP');
  await command.untilOutput(new RegExp(`(?:.*\n){${told}}[^]*"(reloaded|reload-failed)".*\n`));
  return jsonLines(command.stdout).slice(told).find(({ event }) => event === 'reloaded' || event === 'reload-failed') ?? {};
}

overEveryChannel('reloads', (stage) => {
  it('hold a connected client to the new policy from its next request on', async () => {
    const file = stage.folder.file('config.toml');
    writeFileSync(file, 'policy = "open"\n');
    const bridge = await serve(stage.host, ['--channel', stage.channel, '--config', file]);
    const { DISPLAY = '', XAUTHORITY = '' } = stage.host.env;
    const attacker = () => startAttack(clientEnv(bridge.display, bridge.xauthority, stage.folder.path), 'tightened', '--victim', DISPLAY, '--victim-xauthority', XAUTHORITY);
    try {
      await using tightened = await attacker();
      assert.deepEqual(tightened.held, OPEN);
      writeFileSync(file, 'policy = "guest"\n');
      assert.deepEqual(await reload(bridge), { event: 'reloaded', applied: ['policy'], waiting: [] });
      assert.deepEqual(await tightened.release(), GUEST);
    } finally {
      await stopBridge(bridge);
    }
  });

  it(`lose none of ${CLIENTS} clients that draw meanwhile, whatever policy comes`, async () => {
    const file = stage.folder.file('config.toml');
    writeFileSync(file, FILES[0] ?? '');
    const bridge = await serve(stage.host, ['--channel', stage.channel, '--config', file]);
    const env = clientEnv(bridge.display, bridge.xauthority, stage.folder.path);
    const clients = Array.from({ length: CLIENTS }, () => new Running('x11perf', ['-repeat', '2', '-time', '1', '-putimage10'], { env, limitMs: 100_000 }));
    try {
      await bridge.command.untilOutput(new RegExp(`"client-connected","client":${CLIENTS},`));
      const ends = Promise.all(clients.map((client) => client.finished()));
      const load = { done: false };
      void ends.then(() => (load.done = true));
      for (let round = 0; !load.done || round < FILES.length * 2; round++) {
        writeFileSync(file, FILES[round % FILES.length] ?? '');
        await reload(bridge);
      }
      for (const { code, stderr } of await ends) assert.equal(code, 0, stderr);
    } finally {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await stopBridge(bridge);
    }
    const events = jsonLines(bridge.command.stdout).map(({ event }) => event);
    const count = (name: string): number => events.filter((event) => event === name).length;
    assert.deepEqual([count('client-connected'), count('client-closed')], [CLIENTS, CLIENTS]);
    assert.ok(count('reloaded') >= 6 && count('reload-failed') >= 2);
  });
});
