import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { BindingBridge, BindingEvent } from '../../dist/native/index.js';
import { NativeBridge } from '../../dist/session/bridge.js';
import { emissionOf } from '../../dist/session/events.js';

/** A handle as the addon's, whose events the test supplies. */
class ScriptedBinding {
  readonly display = 3;
  readonly channel = 'loopback';
  readonly channelReason = 'scripted';
  readonly xauthority = '/x';
  readonly socketPath = '/s';
  queue: BindingEvent[] = [];
  closes = 0;
  failure: Error | undefined;

  takeEvents(): BindingEvent[] {
    return this.queue.splice(0);
  }

  stats(): never {
    throw new Error('not scripted');
  }

  async clients(): Promise<never> {
    throw new Error('not scripted');
  }

  closeClient(): boolean {
    return false;
  }

  async reconfigure(): Promise<null> {
    return null;
  }

  async trace(): Promise<never> {
    throw new Error('not scripted');
  }

  takeTrace(): { records: Buffer; lost: number } {
    return { records: Buffer.alloc(0), lost: 0 };
  }

  endTrace(): void {}

  /** The process of the tests exits with some of these open. */
  stopTaking(): void {}

  async close(): Promise<void> {
    this.closes++;
    this.queue.push({ kind: 'client-closed', client: 1, reason: 'closing' });
    if (this.failure) throw this.failure;
  }
}

function scripted(): { binding: ScriptedBinding; bridge: NativeBridge; seen: string[] } {
  const binding = new ScriptedBinding();
  const bridge = new NativeBridge(binding as BindingBridge);
  const seen: string[] = [];
  bridge.on('client-connected', ({ client }) => seen.push(`connected ${client}`));
  bridge.on('client-closed', ({ client, reason }) => seen.push(`closed ${client} ${reason}`));
  bridge.on('log', ({ level, message }) => seen.push(`${level} ${message}`));
  bridge.on('closed', () => seen.push('closed'));
  return { binding, bridge, seen };
}

describe('events', () => {
  it('of a kind that this version does not know are left out', () => {
    assert.equal(emissionOf({ kind: 'from-the-future' }), undefined);
  });

  it('leave out what the system did not tell', () => {
    assert.deepEqual(emissionOf({ kind: 'client-connected', client: 4 }), ['client-connected', { client: 4 }]);
    assert.deepEqual(emissionOf({ kind: 'client-connected', client: 4, pid: 9, program: 'xterm' }), [
      'client-connected',
      { client: 4, pid: 9, program: 'xterm' },
    ]);
  });

  it('of an unknown log level count as info', () => {
    assert.deepEqual(emissionOf({ kind: 'log', level: 'loud', message: 'm' }), ['log', { level: 'info', message: 'm' }]);
  });

  it('come in their order, the last ones before "closed"', async () => {
    const { binding, bridge, seen } = scripted();
    binding.queue.push({ kind: 'client-connected', client: 1 }, { kind: 'log', level: 'warn', message: 'm' });
    bridge.deliverEvents();
    await bridge.close();
    assert.deepEqual(seen, ['connected 1', 'warn m', 'closed 1 closing', 'closed']);
  });

  it('reach the other listeners when one throws, and the error is not swallowed', async () => {
    const { binding, bridge, seen } = scripted();
    const thrown = new Error('from a listener');
    bridge.once('client-connected', () => {
      throw thrown;
    });
    binding.queue.push({ kind: 'client-connected', client: 1 }, { kind: 'client-connected', client: 2 });
    const uncaught = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    try {
      const surfaced = once(process, 'uncaughtException');
      bridge.deliverEvents();
      assert.deepEqual(await surfaced, [thrown, 'uncaughtException']);
    } finally {
      for (const listener of uncaught) process.on('uncaughtException', listener);
    }
    assert.deepEqual(seen, ['connected 1', 'connected 2']);
  });

  it('stop for a listener that was taken off', () => {
    const { binding, bridge } = scripted();
    let calls = 0;
    const listener = (): void => void calls++;
    bridge.on('log', listener).off('log', listener);
    binding.queue.push({ kind: 'log', level: 'info', message: 'm' });
    bridge.deliverEvents();
    assert.equal(calls, 0);
  });

  it('tell of a close that failed, and "closed" comes all the same', async () => {
    const { binding, bridge, seen } = scripted();
    binding.failure = new Error('no such file');
    await Promise.all([bridge.close(), bridge.close(), bridge[Symbol.asyncDispose](), bridge.closed]);
    assert.equal(binding.closes, 1);
    assert.deepEqual(seen, ['error closing failed: Error: no such file', 'closed 1 closing', 'closed']);
  });
});
