import assert from 'node:assert/strict';
import { join } from 'node:path';
import { resolveHostOptions } from '../../dist/config/host.js';
import { hostEmissionOf } from '../../dist/host/events.js';
import { qemuArguments } from '../../dist/host/qemu.js';

const ENV = { DISPLAY: ':0' };

function problem(raw: Record<string, unknown>, env: NodeJS.ProcessEnv = ENV): string {
  const error = resolveHostOptions(raw, env)._unsafeUnwrapErr();
  assert.equal(error.kind, 'invalid-option');
  return error.message;
}

describe('the options of a host half', () => {
  it('need a socket, which becomes absolute, and have defaults for the rest', () => {
    const config = resolveHostOptions({ socket: 'gpu.sock' }, ENV)._unsafeUnwrap();
    const socket = join(process.cwd(), 'gpu.sock');
    const devShm = { socket: `${socket}.shm`, mib: 1024 };
    assert.deepEqual(config, { socket, hostDisplay: ':0', hostXauthority: undefined, hostTimeout: undefined, policy: undefined, contextsMax: undefined, devShm });
  });

  it('are checked at their limits', () => {
    for (const contextsMax of [1, 65_536]) assert.equal(resolveHostOptions({ socket: '/s', contextsMax }, ENV)._unsafeUnwrap().contextsMax, contextsMax);
    for (const contextsMax of [0, 65_537, 1.5, '7']) assert.match(problem({ socket: '/s', contextsMax }), /^contextsMax must be a number from 1 to 65536, not /);
    assert.ok(resolveHostOptions({ socket: `/${'x'.repeat(102)}` }, ENV).isOk());
    // Bytes count, not characters. A second socket has a longer name.
    for (const socket of [`/${'x'.repeat(103)}`, `/${'ü'.repeat(52)}`]) assert.match(problem({ socket }), /^socket must be a path of at most 103 bytes, and .* has 10[45]$/);
    assert.ok(resolveHostOptions({ socket: `/${'x'.repeat(106)}`, devShm: 0 }, ENV).isOk());
    assert.match(problem({ socket: `/${'x'.repeat(107)}`, devShm: 0 }), /^socket must be a path of at most 107 bytes, and .* has 108$/);
  });

  it('give the guest a /dev/shm of its own size, or none', () => {
    for (const [devShm, found] of [[0, undefined], [1, { socket: '/s.shm', mib: 1 }], [1_048_576, { socket: '/s.shm', mib: 1_048_576 }]] as const) {
      assert.deepEqual(resolveHostOptions({ socket: '/s', devShm }, ENV)._unsafeUnwrap().devShm, found);
    }
    for (const devShm of [-1, 1_048_577, 0.5, '7']) assert.match(problem({ socket: '/s', devShm }), /^devShm must be a number from 0 to 1048576, not /);
  });

  it('refuse what makes no sense, in one sentence each', () => {
    assert.match(problem({}), /^there is no socket for QEMU to connect to: name one with socket$/);
    assert.match(problem({ socket: 7 }), /^socket must be the path of a socket, not 7$/);
    assert.match(problem({ socket: '/s', channel: 'auto' }), /^there is no option named channel$/);
    assert.match(problem({ socket: '/s' }, {}), /^there is no X server to carry clients to: set DISPLAY, or name one with hostDisplay$/);
  });
});

describe("QEMU's arguments", () => {
  it('double the commas of the path, which would end it', () => {
    const [, chardev, , device] = qemuArguments('/run/a,b/gpu.sock');
    assert.equal(chardev, 'socket,id=x11bridge,path=/run/a,,b/gpu.sock');
    assert.match(device ?? '', /^vhost-user-test-device-pci,chardev=x11bridge,virtio-id=16,/);
    const [, second, , shm, ...rest] = qemuArguments('/run/gpu.sock', '/run/a,b').slice(4);
    assert.equal(second, 'socket,id=x11bridge-shm,path=/run/a,,b');
    assert.equal(shm, 'vhost-user-test-device-pci,chardev=x11bridge-shm,virtio-id=26,num_vqs=2,vq_size=128,config_size=40');
    assert.deepEqual(rest, []);
  });
});

describe('the events of a host half', () => {
  it('leave out what is not known, and events of newer addons', () => {
    assert.deepEqual(hostEmissionOf({ kind: 'guest-connected' }), ['guest-connected', {}]);
    assert.deepEqual(hostEmissionOf({ kind: 'guest-connected', pid: 7 }), ['guest-connected', { pid: 7 }]);
    assert.deepEqual(hostEmissionOf({ kind: 'context-opened', context: 3, name: 'xterm' }), ['context-opened', { context: 3, name: 'xterm' }]);
    assert.equal(hostEmissionOf({ kind: 'something-new' }), undefined);
  });

  it('tell what went through a context', () => {
    const traffic = { bytesToHost: 1, bytesToGuest: 2, messagesToGuest: 3, fdsToHost: 4, fdsToGuest: 5 };
    assert.deepEqual(hostEmissionOf({ kind: 'context-closed', context: 3, reason: 'it left', traffic }), ['context-closed', { context: 3, reason: 'it left', traffic }]);
  });
});
