import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { startBridge, type Bridge, type BridgeOptions, type ClientClosed, type ClientConnected, type LiveOptions } from 'x11bridge';
import { Belongings, displayFiles, exists, ROOT, unusedDisplay } from '../support/command.js';
import { eventually, finish, Running } from '../support/processes.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

describe('a bridge', () => {
  let server: Xvfb;
  before(async () => {
    server = await startXvfb();
  });
  after(() => server.stop());

  async function started(options: BridgeOptions = {}): Promise<Bridge> {
    return (await startBridge({ hostDisplay: server.display, ...options }))._unsafeUnwrap();
  }

  const clientEnv = (bridge: Bridge): NodeJS.ProcessEnv => ({ ...process.env, ...bridge.env });

  it('carries a client, reports it, and counts what went through', async () => {
    await using bridge = await started();
    const connected: ClientConnected[] = [];
    const closed: ClientClosed[] = [];
    bridge.on('client-connected', (client) => connected.push(client)).on('client-closed', (client) => closed.push(client));
    const client = await finish('xdpyinfo', [], { env: clientEnv(bridge) });
    assert.equal(client.code, 0, client.stderr);
    await eventually('the client is reported', () => closed.length === 1);
    assert.deepEqual([connected[0]?.client, connected[0]?.program], [closed[0]?.client, 'xdpyinfo']);
    assert.ok((closed[0]?.totals.requests ?? 0) > 10);
    const stats = bridge.stats();
    assert.deepEqual([stats.clients, stats.clientsTotal, stats.clientsRefused, stats.panics], [0, 1, 0, 0]);
    assert.deepEqual(stats.totals, closed[0]?.totals);
  });

  it('says where it is and removes all of it when closed', async () => {
    const bridge = await started();
    const { socket, lock } = displayFiles(bridge.display);
    assert.match(bridge.display, /^:\d+$/);
    assert.match(bridge.channel, /^(loopback|socket)$/);
    assert.match(bridge.channelReason, /^[^\n]+$/);
    assert.equal(bridge.socketPath, socket);
    assert.deepEqual(bridge.env, { DISPLAY: bridge.display, XAUTHORITY: bridge.xauthority });
    const belongings = new Belongings([socket, lock, bridge.xauthority ?? '']);
    await bridge.close();
    assert.deepEqual(belongings.left(), []);
  });

  it('closes once however often it is asked to, and its counts stay readable', async () => {
    const bridge = await started();
    let ends = 0;
    bridge.on('closed', () => ends++);
    assert.equal(bridge.close(), bridge.close());
    await Promise.all([bridge.close(), bridge[Symbol.asyncDispose](), bridge.closed]);
    await bridge.close();
    assert.equal(ends, 1);
    assert.equal(bridge.stats().clients, 0);
  });

  it('changes options while it runs, and refuses those that make no sense', async () => {
    await using bridge = await started();
    const connected = new Promise((resolve) => bridge.once('client-connected', resolve));
    await using first = new Running('xev', [], { env: clientEnv(bridge) });
    await connected;
    assert.ok((await bridge.reconfigure({ clientsMax: 1 })).isOk());
    assert.match((await finish('xdpyinfo', [], { env: clientEnv(bridge) })).stderr, /more than 1 clients are connected/);
    const senseless = [{ clientsMax: 0 }, { spin: 'on' }, { display: ':3' }, { hostDisplay: ':3' }, { dance: 1 }, null] as unknown as LiveOptions[];
    for (const options of senseless) assert.equal((await bridge.reconfigure(options))._unsafeUnwrapErr().kind, 'invalid-option', JSON.stringify(options));
    assert.ok((await bridge.reconfigure({})).isOk());
    const sees = async (): Promise<boolean> => (await finish('xdpyinfo', [], { env: clientEnv(bridge) })).stdout.includes('XTEST');
    assert.ok(await sees());
    assert.ok((await bridge.reconfigure({ policy: 'guest' })).isOk());
    assert.ok(!(await sees()));
    // A policy is not loosened by leaving it out, nor by one that there isn't.
    assert.ok((await bridge.reconfigure({ spin: 'off' })).isOk());
    assert.equal((await bridge.reconfigure({ policy: '/none.toml' }))._unsafeUnwrapErr().kind, 'invalid-policy');
    assert.ok(!(await sees()));
    assert.equal(first.child.exitCode, null);
  });

  it('stands beside others in one process, each with its own server, channel, policy and limits', async () => {
    await using other = await startXvfb({ screen: '640x480x24' });
    await using first = await started({ channel: 'socket', policy: 'guest', clientsMax: 1 });
    await using second = await started({ hostDisplay: other.display, channel: 'loopback' });
    await using third = await started({ channel: 'loopback' });
    assert.equal(new Set([first.display, second.display, third.display]).size, 3);
    const sizes = await Promise.all([first, second, third].map((bridge) => finish('xdpyinfo', [], { env: clientEnv(bridge) })));
    assert.deepEqual(sizes.map(({ stdout }) => /dimensions: +(\d+x\d+)/.exec(stdout)?.[1]), ['1280x1024', '640x480', '1280x1024']);
    assert.deepEqual(sizes.map(({ stdout }) => /^ +XTEST$/m.test(stdout)), [false, true, true]);
    await first.close();
    assert.equal((await finish('xdpyinfo', [], { env: clientEnv(second) })).code, 0);
    assert.deepEqual([second, third].map((bridge) => bridge.stats().clientsTotal), [2, 1]);
  });

  it('ends its clients when it closes, and says so before "closed"', async () => {
    const bridge = await started();
    const seen: string[] = [];
    bridge.on('client-closed', () => seen.push('client-closed')).on('closed', () => seen.push('closed'));
    const connected = new Promise((resolve) => bridge.once('client-connected', resolve));
    const client = finish('xev', [], { env: clientEnv(bridge) });
    await connected;
    await bridge.close();
    assert.notEqual((await client).code, 0);
    assert.deepEqual(seen, ['client-closed', 'closed']);
  });

  it('closes at the end of an "await using" scope', async () => {
    let belongings: Belongings;
    {
      await using bridge = await started();
      belongings = new Belongings([bridge.socketPath]);
    }
    assert.deepEqual(belongings.left(), []);
  });

  it('does not start when its signal is aborted already', async () => {
    const error = (await startBridge({ hostDisplay: server.display, signal: AbortSignal.abort() }))._unsafeUnwrapErr();
    assert.equal(error.kind, 'aborted');
  });

  it('closes when its signal is aborted', async () => {
    const controller = new AbortController();
    const bridge = await started({ signal: controller.signal });
    const belongings = new Belongings([bridge.socketPath]);
    controller.abort();
    await bridge.closed;
    assert.deepEqual(belongings.left(), []);
  });

  it('leaves no listener on the signal of somebody who goes on living', async () => {
    const { signal } = new AbortController();
    const bridge = await started({ signal });
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await bridge.close();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('shares a process with others', async () => {
    await using first = await started({ channel: 'socket' });
    await using second = await started({ channel: 'loopback' });
    assert.notEqual(first.display, second.display);
    for (const bridge of [first, second]) assert.equal((await finish('xdpyinfo', [], { env: clientEnv(bridge) })).code, 0);
  });

  it('carries clients of another bridge', async () => {
    await using first = await started();
    await using second = await started({ hostDisplay: first.display, hostXauthority: first.xauthority });
    assert.equal((await finish('xdpyinfo', [], { env: clientEnv(second) })).code, 0);
  });

  it('uses the real cookie of a server that asks for one, and never shows it to clients', async () => {
    await using guarded = await startXvfb({ auth: true });
    await using bridge = await started({ hostDisplay: guarded.display, hostXauthority: guarded.xauthority ?? '' });
    assert.equal((await finish('xdpyinfo', [], { env: clientEnv(bridge) })).code, 0);
    const { stdout } = await finish('xauth', ['-f', bridge.xauthority ?? '', 'list']);
    assert.match(stdout, /MIT-MAGIC-COOKIE-1 +[0-9a-f]{32}/);
    assert.ok(!stdout.includes(guarded.cookie ?? 'no cookie'));
    assert.notEqual((await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: bridge.display, XAUTHORITY: '/dev/null' } })).code, 0);
  });

  it('refuses clients over its limit, one by one, and takes new ones when there is room', async () => {
    await using bridge = await started({ clientsMax: 1 });
    const connected = new Promise((resolve) => bridge.once('client-connected', resolve));
    const logged = new Promise<{ message: string }>((resolve) => bridge.on('log', resolve));
    {
      await using _holder = new Running('xev', [], { env: clientEnv(bridge) });
      await connected;
      const refused = await finish('xdpyinfo', [], { env: clientEnv(bridge) });
      assert.notEqual(refused.code, 0);
      assert.match((await logged).message, /1 clients? /);
      assert.equal(bridge.stats().clientsRefused, 1);
    }
    await eventually('there is room', () => bridge.stats().clients === 0);
    assert.equal((await finish('xdpyinfo', [], { env: clientEnv(bridge) })).code, 0);
  });

  it('gives senseless options back as an error, and never throws', async () => {
    const senseless: unknown[] = [
      null,
      5,
      'text',
      { display: 3 },
      { display: ':x' },
      { hostDisplay: '' },
      { hostDisplay: 'nonsense' },
      { channel: 'pigeon' },
      { spin: -1 },
      { clientsMax: 0 },
      { runtimeDir: 'relative' },
      { signal: {} },
      { hostdisplay: ':0' },
    ];
    for (const options of senseless) {
      const error = (await startBridge((typeof options === 'object' && options !== null ? { hostDisplay: ':0', ...options } : options) as BridgeOptions))._unsafeUnwrapErr();
      assert.deepEqual([error.kind, error.side, error.retry], ['invalid-option', 'user', false], JSON.stringify(options));
      assert.match(error.message, /^[^\n]+[^.\n]$/);
    }
  });

  it('turns what its options throw into an error', async () => {
    const options = {
      get hostDisplay(): string {
        throw new Error('from a getter');
      },
    };
    const error = (await startBridge(options))._unsafeUnwrapErr();
    assert.equal(error.kind, 'internal');
  });

  for (const [how, ending] of [
    ['exits', 'process.exit(3)'],
    ['dies of an exception', `setImmediate(() => { throw new Error('made up') })`],
  ] as const) {
    it(`takes its display down when the process ${how} with it open`, async () => {
      const code = `require('x11bridge').startBridge({ hostDisplay: ':0', display: '${unusedDisplay()}' }).then(({ value }) => {
        console.log(JSON.stringify([value.socketPath, '/tmp/.X' + value.display.slice(1) + '-lock', value.xauthority])); ${ending} });`;
      const { stdout } = await finish(process.execPath, ['--eval', code], { cwd: ROOT });
      const files = JSON.parse(stdout) as string[];
      assert.equal(files.length, 3);
      assert.deepEqual(files.filter(exists), []);
    });
  }

  it('needs no X server to start, and tells clients which one is missing', async () => {
    const gone = await startXvfb();
    await gone.stop();
    await using bridge = await started({ hostDisplay: gone.display });
    const client = await finish('xdpyinfo', [], { env: clientEnv(bridge) });
    assert.notEqual(client.code, 0);
    assert.match(client.stderr, new RegExp(`X display ${gone.display}: `));
  });
});
