import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { Belongings, displayFiles, jsonLines, startServe, startX11bridge, unusedDisplay, type Ready } from '../support/command.js';
import { finish } from '../support/processes.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

describe('serve', () => {
  let server: Xvfb;
  before(async () => {
    server = await startXvfb();
  });
  after(() => server.stop());

  const host = (): string[] => ['--host-display', server.display];

  it('prints for people that it is ready, and a line to paste that works', async () => {
    await using command = startX11bridge(['serve', ...host()]);
    const [line] = await command.untilOutput(/^export DISPLAY=:\d+ XAUTHORITY=\S+$/m);
    assert.match(command.stdout, /^x11bridge: ready on display :\d+ over the (loopback|socket) channel/);
    assert.equal((await finish('sh', ['-c', `${line}; xdpyinfo`])).code, 0);
    command.child.kill('SIGTERM');
    assert.deepEqual(await command.finished(), { code: 0, signal: null, stdout: command.stdout, stderr: '' });
  });

  it('writes a line of JSON when ready, for each client, and at the end', async () => {
    const { command, ready } = await startServe(host());
    await using running = command;
    const { code } = await finish('xdpyinfo', [], { env: clientEnv(ready) });
    assert.equal(code, 0);
    await running.untilOutput(/client-closed/);
    running.child.kill('SIGTERM');
    const { stdout } = await running.finished();
    const [first, connected, closed, last, ...more] = jsonLines(stdout);
    assert.deepEqual(first, { event: 'ready', display: ready.display, channel: ready.channel, xauthority: ready.xauthority });
    assert.equal(connected?.['event'], 'client-connected');
    assert.ok(Number(connected?.['client']) > 0);
    assert.equal(connected?.['program'], 'xdpyinfo');
    assert.equal(closed?.['event'], 'client-closed');
    assert.equal(closed?.['client'], connected?.['client']);
    for (const count of ['requests', 'replies', 'bytesToHost', 'bytesToClient']) assert.ok(Number(closed?.[count]) > 0, count);
    assert.deepEqual([last, more], [{ event: 'closed' }, []]);
  });

  it('listens on the path, on the abstract name, with a lock file and a private cookie', async () => {
    const { command, ready } = await startServe(host());
    await using running = command;
    const { socket, lock } = displayFiles(ready.display);
    assert.ok(statSync(socket).isSocket());
    assert.equal(Number((await finish('cat', [lock])).stdout), running.pid);
    assert.equal(statSync(ready.xauthority).mode & 0o777, 0o600);
    // socat gives an abstract name its exact length, as X11 clients do; Node pads it with zeros.
    for (const address of [`UNIX-CONNECT:${socket}`, `ABSTRACT-CONNECT:${socket}`]) {
      assert.equal((await finish('socat', ['-u', '/dev/null', address])).code, 0, address);
    }
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with 0 after ${signal}, and leaves nothing behind`, async () => {
      const { command, ready } = await startServe(host());
      await using running = command;
      const belongings = belongingsOf(ready);
      running.child.kill(signal);
      assert.deepEqual([(await running.finished()).code, running.stderr], [0, '']);
      assert.deepEqual(belongings.left(), []);
    });
  }

  it('ends at once after a second signal, with 128 + its number, and leaves nothing behind', async () => {
    const { command, ready } = await startServe(host());
    await using running = command;
    const belongings = belongingsOf(ready);
    const { socket } = displayFiles(ready.display);
    // A client that never finishes its set-up, so that there is somebody to wait for.
    const stuck = await connectTo(socket);
    running.child.kill('SIGTERM');
    running.child.kill('SIGINT');
    const { code } = await running.finished();
    stuck.destroy();
    // Two signals may be taken as one when the first had finished by then.
    assert.ok(code === 130 || code === 143 || code === 0, String(code));
    assert.deepEqual(belongings.left(), []);
  });

  it('gives two bridges at once two different displays', async () => {
    const started = await Promise.all([startServe(host()), startServe(host()), startServe(host())]);
    await using _first = started[0].command;
    await using _second = started[1].command;
    await using _third = started[2].command;
    const displays = started.map(({ ready }) => ready.display);
    assert.equal(new Set([...displays, server.display]).size, 4, displays.join(' '));
    for (const { ready } of started) assert.equal((await finish('xdpyinfo', [], { env: clientEnv(ready) })).code, 0);
  });

  it('serves the display that was asked for', async () => {
    const display = unusedDisplay();
    const { command, ready } = await startServe([...host(), '--display', display]);
    await using _ = command;
    assert.equal(ready.display, display);
  });

  for (const channel of ['loopback', 'socket']) {
    it(`takes the ${channel} channel when asked to`, async () => {
      const { command, ready } = await startServe([...host(), '--channel', channel]);
      await using _ = command;
      assert.equal(ready.channel, channel);
      assert.equal((await finish('xdpyinfo', [], { env: clientEnv(ready) })).code, 0);
    });
  }

  it('keeps serving when nobody reads its output any more', async () => {
    const { command, ready } = await startServe(host());
    await using running = command;
    const belongings = belongingsOf(ready);
    running.child.stdout?.destroy();
    running.child.stderr?.destroy();
    for (let client = 0; client < 3; client++) {
      assert.equal((await finish('xdpyinfo', [], { env: clientEnv(ready) })).code, 0);
    }
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).code, 0);
    assert.deepEqual(belongings.left(), []);
  });

  it('takes no harm from a connection that breaks off in the middle of its set-up', async () => {
    const { command, ready } = await startServe(host());
    await using running = command;
    const broken = await connectTo(displayFiles(ready.display).socket);
    await new Promise<void>((resolve) => broken.write('l\0\x0b', () => resolve()));
    broken.destroy();
    assert.equal((await finish('xdpyinfo', [], { env: clientEnv(ready) })).code, 0);
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).code, 0);
  });

  function clientEnv(ready: Ready): NodeJS.ProcessEnv {
    return { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority };
  }
});

function belongingsOf(ready: Ready): Belongings {
  return new Belongings([...Object.values(displayFiles(ready.display)), ready.xauthority]);
}

async function connectTo(path: string): Promise<Socket> {
  const connection = createConnection(path);
  await once(connection, 'connect');
  // The bridge may end it at any time from here on.
  connection.on('error', () => undefined);
  return connection;
}
