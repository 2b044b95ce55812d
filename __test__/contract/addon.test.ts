// The addon itself, without the shell around it.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import type * as Binding from '../../dist/native/binding.js';
import type { BindingBridge, BindingError, BindingEvent, BindingOptions } from '../../dist/native/binding.js';
import { Belongings, displayFiles, exists, ROOT, unusedDisplay } from '../support/command.js';
import { eventually, finish, Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

/** The one that was built here, or another that is to be held to the same. */
const ADDON = process.env['TESTED_ADDON'] ?? join(ROOT, `dist/native/x11bridge.${process.platform}-${process.arch}-gnu.node`);
const binding = require(ADDON) as typeof Binding;
const IGNORE = (): void => undefined;

describe('the addon', () => {
  let server: Xvfb;
  let folder: TemporaryFolder;
  before(async () => {
    server = await startXvfb();
    folder = new TemporaryFolder();
  });
  after(async () => {
    folder[Symbol.dispose]();
    await server.stop();
  });

  function options(more: Partial<BindingOptions> = {}): BindingOptions {
    return { hostDisplay: server.display, runtimeDir: folder.path, channel: 'auto', live: {}, ...more };
  }

  function start(more: Partial<BindingOptions> = {}, onEvents: () => void = IGNORE): BindingBridge {
    const started = binding.startBridge(options(more), onEvents);
    if ('kind' in started) throw new Error(started.message);
    return started;
  }

  function refusal(more: Partial<BindingOptions>): BindingError {
    const started = binding.startBridge(options(more), IGNORE);
    assert.ok('kind' in started, JSON.stringify(more));
    return started;
  }

  const clientEnv = (bridge: BindingBridge): NodeJS.ProcessEnv => ({ ...process.env, DISPLAY: `:${bridge.display}`, XAUTHORITY: bridge.xauthority ?? '' });
  const runClient = (bridge: BindingBridge) => finish('xdpyinfo', [], { env: clientEnv(bridge) });

  it('exports exactly what the shell uses', () => {
    assert.deepEqual(Object.keys(binding).toSorted(), ['BindingBridge', 'BindingHost', 'examineSharing', 'fenceWatcher', 'notifyService', 'peerUser', 'startBridge', 'startHost', 'version', 'virtgpuOffer']);
  });

  it('is of the version of the package', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    assert.equal(binding.version(), manifest.version);
  });

  it('tells where the display is, and how clients get to the server', async () => {
    const bridge = start();
    assert.ok(Number.isInteger(bridge.display));
    assert.match(bridge.channel, /^(virtgpu|vsock|tcp|loopback|socket)$/);
    assert.match(bridge.channelReason, /^[^\n]+$/);
    assert.equal(bridge.socketPath, displayFiles(`:${bridge.display}`).socket);
    assert.ok(bridge.xauthority?.startsWith(`${folder.path}/`));
    assert.equal((await runClient(bridge)).code, 0);
    await bridge.close();
  });

  it('gives what the user did wrong back as a plain value', () => {
    const senseless: Partial<BindingOptions>[] = [
      { hostDisplay: '' },
      { hostDisplay: 'nonsense' },
      { hostDisplay: 'x'.repeat(100_000) },
      { hostDisplay: ':1\0' },
      { channel: '' },
      { channel: 'pigeon' },
      { channel: 'vsock:2' },
      { channel: 'vsock:4294967295:1' },
      { channel: 'tcp:host:0' },
      { channel: 'tcp:::1:6000' },
      { live: { dri3: 'perhaps' } },
      { live: { shm: 'sysv' } },
      { live: { dri3: 'on' }, channel: 'tcp:localhost:1' },
      { fences: 'perhaps' },
      { fences: 'off', live: { dri3: 'on' } },
      { display: 59_536 },
      { live: { spinMicros: 1001 } },
      { live: { hostTimeoutMs: 0 } },
      { live: { hostTimeoutMs: 600_001 } },
      { live: { clientsMax: 0 } },
      { live: { clientsMax: 65_537 } },
    ];
    for (const more of senseless) {
      const { kind, message, side, retry } = refusal(more);
      assert.deepEqual([kind, side, retry], ['invalid-option', 'user', false]);
      assert.match(message, /^[^\n]+[^.\n]$/);
    }
  });

  it('takes numbers at their limits', async () => {
    for (const more of [{ live: { spinMicros: 0 } }, { live: { spinMicros: 1000 } }, { live: { clientsMax: 1 } }, { live: { clientsMax: 65_536 } }, { live: { hostTimeoutMs: 1 } }, { live: { hostTimeoutMs: 600_000 } }, { display: 59_535 }]) await start(more).close();
  });

  it('tells a channel that cannot be had from one that makes no sense', () => {
    const { kind, message, side, retry } = refusal({ channel: 'virtgpu', renderNode: '/nonexistent/renderD128' });
    assert.deepEqual([kind, side, retry], ['channel-unavailable', 'user', false]);
    assert.match(message, /^can't open \/nonexistent\/renderD128: [^\n]+$/);
  });

  it('tells a taken display from a runtime directory that is missing', () => {
    assert.equal(refusal({ display: Number(server.display.slice(1)) }).kind, 'display-taken');
    assert.equal(refusal({ runtimeDir: folder.file('missing') }).kind, 'runtime-dir');
    assert.equal(refusal({ runtimeDir: '/etc/passwd' }).kind, 'runtime-dir');
  });

  it('throws or refuses, and does not crash, for arguments of the wrong type', () => {
    const startAnything = binding.startBridge as (...args: unknown[]) => unknown;
    const throwing = new Proxy({}, { get: () => { throw new Error('from a proxy'); } });
    const wrong: unknown[][] = [
      [],
      [undefined],
      [null, IGNORE],
      [5, IGNORE],
      ['text', IGNORE],
      [{}, IGNORE],
      [throwing, IGNORE],
      [options()],
      [options(), null],
      [options(), {}],
      [{ ...options(), hostDisplay: 5 }, IGNORE],
      [{ ...options(), runtimeDir: null }, IGNORE],
      [{ ...options(), channel: Symbol('x') }, IGNORE],
      [{ ...options(), display: 'one' }, IGNORE],
      [{ ...options(), live: { clientsMax: 5n } }, IGNORE],
    ];
    const outcome = (args: unknown[]): unknown => {
      try {
        return (startAnything(...args) as BindingError).kind;
      } catch (error) {
        return error instanceof Error ? 'thrown' : error;
      }
    };
    for (const [index, args] of wrong.entries()) assert.match(String(outcome(args)), /^(thrown|internal)$/, `case ${index}`);
  });

  it('takes no harm from methods called on something else', () => {
    const { prototype } = binding.BindingBridge;
    for (const method of [prototype.takeEvents, prototype.stats, prototype.close]) {
      for (const self of [{}, undefined, null, 5, prototype]) assert.throws(() => Reflect.apply(method, self as object, []));
    }
    assert.throws(() => Reflect.construct(binding.BindingBridge, []));
  });

  it('says once that events wait, however many there are, and hands them over together', async () => {
    let calls = 0;
    const bridge = start({}, () => calls++);
    for (let client = 0; client < 3; client++) assert.equal((await runClient(bridge)).code, 0);
    await eventually('the clients have gone', () => bridge.stats().clients === 0);
    await eventually('it says so', () => calls > 0);
    assert.equal(calls, 1);
    const events: BindingEvent[] = bridge.takeEvents();
    assert.deepEqual(bridge.takeEvents(), []);
    // A client's end may be told after the next one's beginning: each has its own thread.
    const inOrder = events.filter(({ kind }) => kind !== 'log').toSorted((one, other) => Number(one.client) - Number(other.client));
    const connections = inOrder.map(({ kind, client }) => `${client} ${kind}`);
    const numbers = [...new Set(inOrder.map(({ client }) => client))];
    assert.equal(numbers.length, 3);
    assert.deepEqual(connections, numbers.flatMap((client) => [`${client} client-connected`, `${client} client-closed`]));
    assert.equal((await runClient(bridge)).code, 0);
    await eventually('it says so again', () => calls === 2);
    await bridge.close();
  });

  it('closes as often as it is asked to, and answers questions afterwards', async () => {
    const bridge = start();
    const belongings = new Belongings([bridge.socketPath]);
    await Promise.all([bridge.close(), bridge.close(), bridge.close()]);
    await bridge.close();
    assert.deepEqual(belongings.left(), []);
    assert.equal(bridge.stats().clients, 0);
    bridge.takeEvents();
    assert.equal(typeof bridge.display, 'number');
  });

  it('opens and closes a hundred times without leaving a thread or a descriptor', async () => {
    await start().close();
    const before = counts();
    for (let round = 0; round < 100; round++) await start().close();
    await eventually('there are no more than before', () => {
      const { threads, descriptors } = counts();
      return threads <= before.threads && descriptors <= before.descriptors;
    });
  });

  it('takes its display down at once when the process is about to end', async () => {
    const bridge = start();
    const belongings = new Belongings([bridge.socketPath, bridge.xauthority ?? '']);
    bridge.stopTaking();
    assert.deepEqual(belongings.left(), []);
    bridge.stopTaking();
    // Until then it keeps the event loop alive.
    await bridge.close();
  });

  it('can be loaded twice', async () => {
    const again = freshRequire();
    assert.notEqual(again, binding);
    const bridges = [start(), again.startBridge(options(), IGNORE)].map((started) => {
      assert.ok(!('kind' in started));
      return started;
    });
    for (const bridge of bridges) assert.equal((await runClient(bridge)).code, 0);
    await Promise.all(bridges.map((bridge) => bridge.close()));
  });

  it('can be loaded in a forked process, which inherits nothing of the bridge that is open', async () => {
    const before = new Set(openSockets());
    const bridge = start();
    const own = new Set(openSockets().filter((name) => !before.has(name)));
    assert.ok(own.size > 0);
    writeFileSync(folder.file('child.cjs'), `
      const { readdirSync, readlinkSync } = require('node:fs');
      const inherited = readdirSync('/proc/self/fd').flatMap((fd) => { try { return [readlinkSync('/proc/self/fd/' + fd)]; } catch { return []; } });
      const bridge = require(${JSON.stringify(ADDON)}).startBridge(${JSON.stringify(options())}, () => {});
      process.once('message', async () => { await bridge.close(); process.exit(0); });
      process.send({ display: bridge.display, xauthority: bridge.xauthority, inherited });`);
    const child = fork(folder.file('child.cjs'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const [{ display, xauthority, inherited }] = (await once(child, 'message')) as [{ display: number; xauthority: string; inherited: string[] }];
    assert.deepEqual(inherited.filter((name) => own.has(name)), []);
    const belongings = new Belongings([displayFiles(`:${display}`).socket, xauthority]);
    const env = { ...process.env, DISPLAY: `:${display}`, XAUTHORITY: xauthority };
    assert.equal((await finish('xdpyinfo', [], { env })).code, 0);
    child.send('close');
    const [code] = (await once(child, 'exit')) as [number];
    assert.deepEqual([code, belongings.left()], [0, []]);
    assert.equal((await runClient(bridge)).code, 0);
    await bridge.close();
  });

  const WORKER = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { startBridge } = require(workerData.addon);
    const bridge = startBridge(workerData.options, () => parentPort.postMessage({ events: bridge.takeEvents().map(({ kind }) => kind) }));
    parentPort.postMessage({ display: bridge.display, xauthority: bridge.xauthority });
    parentPort.once('message', async () => { await bridge.close(); parentPort.postMessage({ closed: true }); });`;

  it('works in a worker thread', async () => {
    const worker = new Worker(WORKER, { eval: true, workerData: { addon: ADDON, options: options() } });
    const messages: Record<string, unknown>[] = [];
    worker.on('message', (message: Record<string, unknown>) => messages.push(message));
    await eventually('the worker has started it', () => messages.length > 0);
    const [{ display, xauthority } = {}] = messages;
    const belongings = new Belongings([displayFiles(`:${String(display)}`).socket]);
    const env = { ...process.env, DISPLAY: `:${String(display)}`, XAUTHORITY: String(xauthority) };
    assert.equal((await finish('xdpyinfo', [], { env })).code, 0);
    await eventually('its events come', () => messages.some(({ events }) => Array.isArray(events) && events.includes('client-closed')));
    worker.postMessage('close');
    await eventually('it is closed', () => messages.some(({ closed }) => closed === true));
    await worker.terminate();
    assert.deepEqual(belongings.left(), []);
  });

  it('takes its display down when its worker thread is ended with it open', async () => {
    const worker = new Worker(WORKER, { eval: true, workerData: { addon: ADDON, options: options() } });
    const [{ display, xauthority }] = (await new Promise((resolve) => worker.once('message', (message) => resolve([message])))) as [{ display: number; xauthority: string }];
    const belongings = new Belongings([...Object.values(displayFiles(`:${display}`)), xauthority]);
    await worker.terminate();
    await eventually('its files are gone', () => belongings.left().length === 0);
  });

  it('takes its display down when the process exits while it closes and a client holds on', async () => {
    const code = `const bridge = require(${JSON.stringify(ADDON)}).startBridge(${JSON.stringify(options({ display: Number(unusedDisplay().slice(1)) }))}, () => {});
      console.log(JSON.stringify([bridge.socketPath, '/tmp/.X' + bridge.display + '-lock', bridge.xauthority]));
      process.stdin.once('data', () => { bridge.close(); setTimeout(() => process.exit(3), 50); });`;
    await using program = new Running(process.execPath, ['--eval', code], { stdio: ['pipe', 'pipe', 'pipe'] });
    const files = JSON.parse((await program.untilOutput(/^\[.*\]$/m))[0]) as string[];
    await using _stuck = new Running('socat', ['-u', `UNIX-CONNECT:${files[0] ?? ''}`, '-']);
    program.child.stdin?.write('close\n');
    await program.finished();
    assert.deepEqual(files.filter(exists), []);
  });

  it('survives that its handle is collected while it is open', async () => {
    const code = `const { startBridge } = require(${JSON.stringify(ADDON)});
      let bridge = startBridge(${JSON.stringify(options())}, () => {}); bridge = undefined;
      for (let i = 0; i < 10; i++) gc(); setTimeout(() => { gc(); console.log('alive'); process.exit(0) }, 200);`;
    const { code: exit, stdout, signal } = await finish(process.execPath, ['--expose-gc', '--eval', code]);
    assert.deepEqual([exit, signal, stdout], [0, null, 'alive\n']);
  });
});

/** The sockets that this process has open. */
function openSockets(): string[] {
  const names = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the descriptor of this very listing is closed again
    }
  });
  return names.filter((name) => name.startsWith('socket:'));
}

/** A closed bridge keeps a descriptor for as long as its handle lives. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function freshRequire(): typeof Binding {
  const path = require.resolve(ADDON);
  const cached = require.cache[path];
  delete require.cache[path];
  try {
    return require(path) as typeof Binding;
  } finally {
    if (cached) require.cache[path] = cached;
  }
}

/** Threads and open descriptors of this process. */
function counts(): { threads: number; descriptors: number } {
  collectGarbage();
  const threads = /^Threads:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return { threads: Number(threads), descriptors: readdirSync('/proc/self/fd').length };
}
