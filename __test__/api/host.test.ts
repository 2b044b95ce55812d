import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { startHost, type Host } from 'x11bridge';
import { exists } from '../support/command.js';
import { TemporaryFolder } from '../support/temporary.js';

describe('startHost', () => {
  let folder: TemporaryFolder;
  beforeEach(() => {
    folder = new TemporaryFolder();
  });
  afterEach(() => folder[Symbol.dispose]());

  const options = () => ({ socket: folder.file('gpu.sock'), hostDisplay: ':0' });
  const start = async (): Promise<Host> => (await startHost(options()))._unsafeUnwrap();

  it('gives a host half that can be connected to, and takes its socket away when it is closed', async () => {
    const host = await start();
    assert.ok(exists(host.socket));
    assert.equal(host.qemuArguments[1], `socket,id=x11bridge,path=${host.socket}`);
    const events: string[] = [];
    host.on('guest-connected', ({ pid }) => events.push(`connected ${pid}`));
    host.on('guest-disconnected', () => events.push('disconnected'));
    host.on('closed', () => events.push('closed'));
    const machine = connect(host.socket);
    await new Promise<void>((resolve) => {
      host.once('guest-connected', () => resolve());
    });
    const ended = once(machine, 'close');
    machine.resume();
    assert.equal(host.close(), host.close());
    await host.closed;
    await ended;
    assert.deepEqual([events, exists(host.socket)], [[`connected ${process.pid}`, 'disconnected', 'closed'], false]);
  });

  it('gives what is wrong as a value', async () => {
    await using host = await start();
    assert.ok(exists(host.socket));
    const taken = (await startHost(options()))._unsafeUnwrapErr();
    assert.deepEqual([taken.kind, taken.side, taken.retry], ['socket-taken', 'user', true]);
    const senseless = (await startHost({ ...options(), contextsMax: 0 }))._unsafeUnwrapErr();
    assert.equal(senseless.kind, 'invalid-option');
    const nothing = (await startHost(undefined as never))._unsafeUnwrapErr();
    assert.equal(nothing.kind, 'invalid-option');
    const aborted = (await startHost({ ...options(), signal: AbortSignal.abort() }))._unsafeUnwrapErr();
    assert.equal(aborted.kind, 'aborted');
  });

  it('closes when its signal is aborted', async () => {
    const abort = new AbortController();
    const host = (await startHost({ ...options(), signal: abort.signal }))._unsafeUnwrap();
    abort.abort();
    await host.closed;
    assert.ok(!exists(host.socket));
  });

  it('can be followed by another on the same socket', async () => {
    for (let round = 0; round < 3; round++) {
      await using host = await start();
      assert.ok(exists(host.socket));
    }
  });
});
