// Running as a service, without a service manager: systemd's own tools pass the sockets and listen.

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMAND, displayFiles, exists, jsonLines, ROOT, startX11bridge, unusedDisplay } from '../support/command.js';
import { finish, Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

const DISPLAY = unusedDisplay();
const { socket: SOCKET, lock: LOCK } = displayFiles(DISPLAY);

const UNITS = ['x11bridge@.service', 'x11bridge@.socket'];

/** Hears what a service is to tell, a line for each message. */
const MANAGER = `
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(manager.recv(4096).decode().replace('\\n', ' '), flush=True)
`;

describe('as a service', () => {
  let server: Xvfb;
  let folder: TemporaryFolder;
  before(async () => {
    server = await startXvfb();
    folder = new TemporaryFolder();
  });
  after(async () => {
    await server.stop();
    folder[Symbol.dispose]();
  });

  const where = (): string[] => ['--host-display', server.display, '--runtime-dir', folder.path];

  /** A bridge whose sockets systemd's tool makes and passes, on the first connection. */
  function activated(addresses: readonly string[], ...args: readonly string[]): Running {
    const { DISPLAY: _, XAUTHORITY: __, ...env } = process.env;
    const listen = addresses.flatMap((address) => ['-l', address]);
    const passed = ['X11BRIDGE_CONFIG=/dev/null', `PATH=${env['PATH'] ?? ''}`].flatMap((variable) => ['-E', variable]);
    return new Running('systemd-socket-activate', [...listen, ...passed, process.execPath, COMMAND, 'serve', '--json', ...where(), ...args], { env });
  }

  async function connected(running: Running): Promise<{ code: number | null }> {
    await running.untilOutput(/Listening on/, 'stderr');
    const poke = finish('socat', ['-u', '/dev/null', `UNIX-CONNECT:${SOCKET}`]);
    await running.untilOutput(/"ready"/);
    await poke;
    const [ready] = jsonLines(running.stdout);
    assert.equal(ready?.['display'], DISPLAY);
    return finish('xdpyinfo', [], { env: { ...process.env, DISPLAY, XAUTHORITY: String(ready?.['xauthority']) } });
  }

  it('takes the sockets that it is passed, by path and abstract, and leaves them to their maker', async () => {
    await using running = activated([SOCKET, `@${SOCKET}`]);
    assert.equal((await connected(running)).code, 0);
    assert.ok(exists(LOCK));
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).code, 0);
    assert.deepEqual([exists(SOCKET), exists(LOCK)], [true, false]);
    await finish('rm', ['-f', SOCKET]);
  });

  it('takes one alone', async () => {
    await using running = activated([SOCKET], '--display', DISPLAY);
    assert.equal((await connected(running)).code, 0);
    running.child.kill('SIGTERM');
    await running.finished();
    await finish('rm', ['-f', SOCKET]);
  });

  it('refuses sockets of another display, and those of none, in one sentence', async () => {
    for (const [address, args, expected] of [
      [SOCKET, ['--display', unusedDisplay()], new RegExp(`the socket of display ${DISPLAY} was passed; ask for that display`)],
      [folder.file('elsewhere'), [], /elsewhere that was passed is no display's socket/],
    ] as const) {
      await using running = activated([address], ...args);
      await running.untilOutput(/Listening on/, 'stderr');
      void finish('socat', ['-u', '/dev/null', `UNIX-CONNECT:${address}`]);
      const { code, stderr } = await running.finished();
      assert.equal(code, 2);
      assert.match(stderr, expected);
      await finish('rm', ['-f', address]);
    }
  });

  it('does not take for its own what was passed to another process', async () => {
    await using running = startX11bridge(['serve', '--json', ...where()], { env: { LISTEN_FDS: '1', LISTEN_PID: '1' } });
    await running.untilOutput(/"ready"/);
  });

  it('tells its manager that it is ready, that it is alive, and that it stops', async () => {
    const path = folder.file('notify');
    await using manager = new Running('/usr/bin/python3', ['-c', MANAGER, path]);
    await manager.untilOutput(/listening/);
    await using running = startX11bridge(['serve', '--json', ...where()], { env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' } });
    await manager.untilOutput(/^READY=1 STATUS=display :\d+ over \w+\n(WATCHDOG=1\n){2}/m);
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).code, 0);
    await manager.untilOutput(/^STOPPING=1$/m);
  });

  it('keeps what is for its manager from the watchdog of another, and goes on without a manager', async () => {
    await using running = startX11bridge(['serve', '--json', ...where()], { env: { NOTIFY_SOCKET: folder.file('nobody'), WATCHDOG_USEC: '100', WATCHDOG_PID: '1' } });
    await running.untilOutput(/"ready"/);
    const environment = await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: String(jsonLines(running.stdout)[0]?.['display']), XAUTHORITY: String(jsonLines(running.stdout)[0]?.['xauthority']) } });
    assert.equal(environment.code, 0);
  });

  for (const unit of UNITS) {
    it(`has ${unit} as systemd wants it`, async () => {
      for (const other of UNITS) copyFileSync(join(ROOT, 'systemd', other), folder.file(other));
      const env = { ...process.env, XDG_RUNTIME_DIR: folder.path, HOME: folder.path };
      const { code, stderr } = await finish('systemd-analyze', ['--user', 'verify', '--man=no', folder.file(unit)], { env });
      assert.deepEqual([code, stderr.split('\n').filter((line) => line.includes('x11bridge'))], [0, []], stderr);
      assert.match(readFileSync(join(ROOT, 'systemd', unit), 'utf8'), /^Documentation=man:x11bridge\(1\)$/m);
    });
  }
});
