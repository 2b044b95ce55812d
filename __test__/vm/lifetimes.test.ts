// What a guest's programs see when something outside dies, and comes back.

import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { startX11bridge } from '../support/command.js';
import { eventually, type Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { clientProgram } from '../x11/support/attack.js';
import { clientEnv } from '../x11/support/stage.js';
import { TestGuest } from './support/guest.js';
import { inTheWholeRun } from './support/extent.js';
import { BOOT_LIMIT_MS } from './support/place.js';

/** So long the guest half may take to notice; a hang is longer than any machine is slow. In seconds, counted in the guest. */
const NOTICED_WITHIN = 60;
/**
 * Ends with 0 when the process ends, and with 1 when it is there after 50 naps of a tenth of a second, counted from when the file appears:
 * five seconds, and longer on a machine that is slow to wake those who sleep, as the guest half then is too.
 */
const COUNTER = `
const [pid, start] = process.argv.slice(1);
const { existsSync, readFileSync } = require('node:fs');
const isGone = () => { try { return / Z /.test(readFileSync('/proc/' + pid + '/stat', 'utf8')); } catch { return true; } };
let naps = 0;
const nap = () => {
  if (existsSync(start)) naps++;
  if (isGone()) process.exit(0);
  if (naps > 50) process.exit(1);
  setTimeout(nap, 100);
};
console.log('counting');
nap();
`;

describe('a guest whose host half is killed', function () {
  this.timeout(3 * BOOT_LIMIT_MS);

  it('ends the programs that are connected and refuses new ones; a restarted host half serves the next guest', async () => {
    using folder = new TemporaryFolder();
    await using server = await startXvfb({ auth: true });
    const env = clientEnv(server.display, server.xauthority, folder.path);
    const socket = folder.file('gpu.sock');
    await using half = await startHost(socket, env);
    await using guest = await TestGuest.boot({ args: ['--host-socket', socket], env });
    const client = await startClient(guest);
    const start = guest.file('start');
    const counter = await guest.start(process.execPath, ['-e', COUNTER, String(client.pid), start]);
    await eventually('it counts', () => counter.stdout.includes('counting'));
    half.child.kill('SIGKILL');
    await half.finished();
    writeFileSync(start, '');
    assert.equal((await counter.finished()).code, 0, `a program that is connected ends within five seconds: ${counter.stderr}`);
    const refused = await guest.run(`timeout ${NOTICED_WITHIN} xdpyinfo`);
    assert.equal(refused.code, 1, `a new program is refused, and doesn't hang: ${refused.stderr}`);
    assert.equal((await guest.shutDown()).code, 0, 'the guest itself goes on');
    await using _next = await startHost(socket, env);
    await using second = await TestGuest.boot({ args: ['--host-socket', socket], env });
    const { code, stderr } = await second.run('xdpyinfo');
    assert.equal(code, 0, stderr);
  });
});

inTheWholeRun(() => {
  describe('a guest whose X server is killed', function () {
    this.timeout(2 * BOOT_LIMIT_MS);

    it('ends the programs that are connected, refuses new ones with the name of the display, and reaches the restarted server', async () => {
      using folder = new TemporaryFolder();
      // A number that nobody else takes while it is free: others begin at 0.
      const args = [`:${20_000 + (process.pid % 30_000)}`];
      const first = await startXvfb({ auth: true, args });
      const xauthority = folder.file('Xauthority-of-host');
      const know = (server: Xvfb): void => copyFileSync(server.xauthority ?? '', xauthority);
      know(first);
      await using guest = await TestGuest.boot({ env: clientEnv(first.display, xauthority, folder.path) });
      const client = await startClient(guest);
      process.kill(first.pid, 'SIGKILL');
      await first.stop();
      assert.equal((await guest.script(`timeout ${NOTICED_WITHIN} tail --pid=${client.pid} -f /dev/null`)).code, 0);
      const refused = await guest.run(`timeout ${NOTICED_WITHIN} xdpyinfo`);
      assert.equal(refused.code, 1, refused.stderr);
      assert.ok(refused.stderr.includes(first.display), refused.stderr);
      // It has a new cookie: that is read anew for each program.
      await using second = await startXvfb({ auth: true, args });
      know(second);
      const { code, stderr } = await guest.run('xdpyinfo');
      assert.equal(code, 0, stderr);
    });
  });
});

/** A program that is connected, and ends when its connection does. */
async function startClient(guest: TestGuest): Promise<{ readonly pid: number }> {
  const said = guest.file('client');
  // Its standard input stays open: at its end the program would go.
  await guest.script(`mkfifo /tmp/held; sleep 1000 > /tmp/held & '${clientProgram('x11-attack')}' await-end < /tmp/held > '${said}' & echo $! > '${said}.pid'`);
  const { code } = await guest.run(`timeout ${NOTICED_WITHIN} sh -c "until grep -q connected '${said}'; do sleep 0.1; done"; exit $?`);
  assert.equal(code, 0, 'the program connects');
  const { stdout } = await guest.run(`cat '${said}.pid'`);
  return { pid: Number(stdout) };
}

async function startHost(socket: string, env: NodeJS.ProcessEnv): Promise<Running> {
  const half = startX11bridge(['host', '--json', '--socket', socket], { env, limitMs: 6 * BOOT_LIMIT_MS });
  await half.untilOutput(/"event":"ready"/);
  return half;
}
