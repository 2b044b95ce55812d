import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { request, type RequestOptions } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { exists, startServe, x11bridge } from '../support/command.js';
import { finish, type Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

function get(options: RequestOptions): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    request({ path: '/metrics', ...options }, (response) => {
      void text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    })
      .once('error', reject)
      .end();
  });
}

describe('the figures for Prometheus', () => {
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

  const start = (...args: string[]) => startServe(['--host-display', server.display, '--runtime-dir', folder.path, '--log-level', 'info', ...args]);

  async function portOf(command: Running): Promise<number> {
    const [, port] = await command.untilOutput(/figures for Prometheus: http:\/\/127\.0\.0\.1:(\d+)\/metrics/, 'stderr');
    return Number(port);
  }

  it('are not offered unless they are asked for', async () => {
    const { command, ready } = await start();
    await using _ = command;
    assert.ok(!exists(folder.file(`metrics-${ready.display.slice(1)}`)));
    assert.doesNotMatch(command.stderr, /Prometheus/);
  });

  it('can be had over a Unix socket that is the owner\'s alone, and goes with the bridge', async () => {
    const { command, ready } = await start('--metrics', 'unix');
    await using running = command;
    const socketPath = folder.file(`metrics-${ready.display.slice(1)}`);
    await command.untilOutput(/figures for Prometheus/, 'stderr');
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    assert.equal((await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority } })).code, 0);
    const { status, body } = await get({ socketPath });
    assert.equal(status, 200);
    assert.match(body, /^x11bridge_clients_total 1$/m);
    assert.match(body, /^x11bridge_round_trip_seconds_count [1-9]\d*$/m);
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).code, 0);
    assert.ok(!exists(socketPath));
  });

  it('can be had at a port of this machine, and nothing else can', async () => {
    const { command } = await start('--metrics', '0');
    await using _ = command;
    const port = await portOf(command);
    assert.equal((await get({ port, host: '127.0.0.1' })).status, 200);
    assert.equal((await get({ port, host: '127.0.0.1', path: '/../etc/passwd' })).status, 404);
    assert.equal((await get({ port, host: '127.0.0.1', method: 'POST' })).status, 405);
    assert.deepEqual(await get({ port, host: '127.0.0.1', method: 'HEAD' }), { status: 200, body: '' });
    const sockets = await finish('cat', ['/proc/net/tcp']);
    const listening = sockets.stdout.split('\n').filter((line) => line.includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`));
    assert.deepEqual(listening.map((line) => line.trim().split(/\s+/)[1]?.split(':')[0]), ['0100007F']);
  });

  it('at a port that is taken are missed with one sentence, and the bridge goes on', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const { command, ready } = await start('--metrics', `127.0.0.1:${port}`);
    await using _ = command;
    assert.match(command.stderr, new RegExp(`^x11bridge: warn: the figures can't be offered at 127\\.0\\.0\\.1:${port} \\(EADDRINUSE\\): name another port with --metrics$`, 'm'));
    assert.equal((await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority } })).code, 0);
    taken.close();
  });

  it('move with a reload', async () => {
    const file = folder.file('config.toml');
    writeFileSync(file, '');
    const { command } = await start('--config', file);
    await using _ = command;
    writeFileSync(file, 'metrics = "127.0.0.1:0"\n');
    assert.equal((await x11bridge(['reload', '--runtime-dir', folder.path])).stdout, 'applied: metrics\n');
    const port = await portOf(command);
    assert.equal((await get({ port, host: '127.0.0.1' })).status, 200);
    writeFileSync(file, '');
    assert.equal((await x11bridge(['reload', '--runtime-dir', folder.path])).stdout, 'applied: metrics\n');
    await assert.rejects(get({ port, host: '127.0.0.1' }), /ECONNREFUSED/);
  });

  for (const where of ['', 'on', '65536', '127.0.0.1', ':9600', '127.0.0.1:x', 'a b:1']) {
    it(`are refused at ${JSON.stringify(where)}`, async () => {
      assert.equal((await x11bridge(['serve', '--host-display', ':0', '--metrics', where])).code, 2);
    });
  }
});
