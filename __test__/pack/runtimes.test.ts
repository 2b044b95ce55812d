// The installed package in other runtimes that have Node-API.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { COMMAND, displayFiles, exists, type Ready } from '../support/command.js';
import { finish, Running } from '../support/processes.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

/** By name, the program and the arguments that stand before a script. */
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  Bun: [process.env['TESTED_BUN'] ?? 'bun'],
  Deno: [process.env['TESTED_DENO'] ?? 'deno', 'run', '--allow-all'],
};

/** The project that the package is installed in. */
const PROJECT = join(dirname(COMMAND), '../../../..');

/** Starts a bridge, runs a client through it, and says what was heard of that. */
const USE = `
  import { spawn } from 'node:child_process';
  import { startBridge } from 'x11bridge';
  const bridge = (await startBridge({ hostDisplay: process.env.HOST, channel: 'loopback' }))._unsafeUnwrap();
  const closed = new Promise((resolve) => bridge.on('client-closed', resolve));
  spawn('xdpyinfo', { env: { ...process.env, ...bridge.env }, stdio: 'ignore' });
  const { client, totals } = await closed;
  console.log(client, totals.requests > 5);
  await bridge.close();`;

for (const [name, [program = '', ...first]] of Object.entries(RUNTIMES)) {
  describe(name, () => {
    let server: Xvfb;
    before(async () => {
      server = await startXvfb();
    });
    after(() => server.stop());

    it('runs a command with a display, and ends with its code', async () => {
      const { code, stdout, stderr } = await finish(program, [...first, COMMAND, 'run', '--host-display', server.display, '--', 'sh', '-c', 'xlsatoms | head -n 1; exit 7']);
      assert.deepEqual([code, stderr], [7, '']);
      assert.match(stdout, /PRIMARY/);
    });

    it('serves until SIGTERM, and leaves nothing behind', async () => {
      await using running = new Running(program, [...first, COMMAND, 'serve', '--json', '--host-display', server.display]);
      const [line] = await running.untilOutput(/^\{.*\}$/m);
      const { display, xauthority } = JSON.parse(line) as Ready;
      assert.equal((await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: display, XAUTHORITY: xauthority } })).code, 0);
      await running.untilOutput(/"client-closed"/);
      running.child.kill('SIGTERM');
      await once(running.child, 'exit');
      const { socket, lock } = displayFiles(display);
      assert.deepEqual([running.child.exitCode, [socket, lock, xauthority].filter(exists)], [0, []]);
    });

    it('gets events by the API', async () => {
      writeFileSync(join(PROJECT, 'use.mjs'), USE);
      const { code, stdout, stderr } = await finish(program, [...first, 'use.mjs'], { cwd: PROJECT, env: { ...process.env, HOST: server.display } });
      assert.equal(code, 0, stderr);
      // Others on this machine who look for a free display may have been there before.
      assert.match(stdout, /^\d+ true\n$/);
    });
  });
}
