// A changed configuration while clients work: none is lost.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { jsonLines } from '../support/command.js';
import { Running } from '../support/processes.js';
import { clientEnv, overEveryChannel, serve, stopBridge } from './support/stage.js';

const CLIENTS = 50;
const FILES = ['spin = "off"\nclients-max = 60\n', 'clients-max = 1\nlog-level = "silent"\npolicy = "isolated"\n', 'policy = "no such"\n', 'host-timeout = 600\nclients-max = 60\npolicy = "guest"\nshm = "fd"\n'];

overEveryChannel('reloads', (stage) => {
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
        const told = jsonLines(bridge.command.stdout).length;
        process.kill(bridge.pid, 'SIGHUP');
        await bridge.command.untilOutput(new RegExp(`(?:.*\n){${told}}[^]*"(reloaded|reload-failed)".*\n`));
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
