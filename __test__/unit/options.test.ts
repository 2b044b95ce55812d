import assert from 'node:assert/strict';
import type { BridgeConfig, OptionName } from '../../dist/config/options.js';
import { resolveOptions, type RawOptions } from '../../dist/config/resolve.js';

const ENV = { DISPLAY: ':0' };

function resolve(raw: RawOptions, env: NodeJS.ProcessEnv = ENV): BridgeConfig {
  return resolveOptions(raw, env)._unsafeUnwrap();
}

function problem(raw: RawOptions, env: NodeJS.ProcessEnv = ENV): string {
  const error = resolveOptions(raw, env)._unsafeUnwrapErr();
  assert.equal(error.kind, 'invalid-option');
  return error.message;
}

describe('options', () => {
  it('all have a default, with the host display from the environment', () => {
    assert.deepEqual(resolve({}), {
      display: undefined,
      socket: undefined,
      hostDisplay: ':0',
      hostDisplayNamed: false,
      hostXauthority: undefined,
      channel: 'auto',
      renderNode: undefined,
      dri3: 'auto',
      fences: 'auto',
      policy: undefined,
      shm: 'auto',
      spin: undefined,
      clientsMax: undefined,
      hostTimeout: undefined,
      runtimeDir: undefined,
      metrics: undefined,
      logLevel: 'warn',
    });
  });

  it('become numbers where the addon wants numbers', () => {
    const config = resolve({ display: ':7', spin: 'off', clientsMax: 3 });
    assert.deepEqual([config.display, config.spin, config.clientsMax], [7, 0, 3]);
  });

  it('win over the environment', () => {
    const { hostDisplay, hostDisplayNamed } = resolve({ hostDisplay: 'unix:9' });
    assert.deepEqual([hostDisplay, hostDisplayNamed], ['unix:9', true]);
  });

  it('need a host display from somewhere for channels that lead nowhere by themselves, and an empty $DISPLAY is none', () => {
    for (const channel of ['loopback', 'socket']) {
      assert.match(problem({ channel }, {}), /^there is no X server to carry clients to: set DISPLAY, or name one with hostDisplay$/);
      assert.match(problem({ channel }, { DISPLAY: '' }), /there is no X server/);
    }
  });

  it('need no host display where the channel may lead to the host', () => {
    for (const channel of ['auto', 'virtgpu', 'vsock:2:6000', 'tcp:localhost:6000']) assert.equal(resolve({ channel }, {}).hostDisplay, undefined);
  });

  it('refuse names that do not exist, and those of the command alone', () => {
    assert.equal(problem({ logLevel: 'info' } as RawOptions), 'there is no option named logLevel');
    assert.equal(problem({ hostdisplay: ':0' } as RawOptions), 'there is no option named hostdisplay');
  });

  const limits: [OptionName, readonly unknown[], readonly unknown[]][] = [
    ['display', ['auto', ':0', ':59535'], [':59536', ':-1', ':', '3', ':3.0', ': 3', '', 3, null]],
    ['hostDisplay', [':0', '/tmp/socket'], ['', 'a\0b', 0, {}]],
    ['hostXauthority', ['/a', 'relative'], ['', 5]],
    ['channel', ['auto', 'virtgpu', 'loopback', 'socket'], ['', 'AUTO', 'gpu', 1]],
    ['channel', ['vsock:0:0', 'vsock:2:6000', 'vsock:4294967294:4294967294'], ['vsock', 'vsock:2', 'vsock:-1:2', 'vsock:4294967295:1', 'vsock:2:4294967295', 'vsock:2:1:1']],
    ['channel', ['tcp:localhost:1', 'tcp:192.0.2.7:65535', 'tcp:[::1]:6000'], ['tcp:6000', 'tcp::1', 'tcp:h:0', 'tcp:h:65536', 'tcp:::1:6000', 'tcp:a b:1', 'tcp:a/b:1']],
    ['renderNode', ['/dev/dri/renderD129'], ['', 'renderD128', 1, '/a\0']],
    ['dri3', ['auto', 'on', 'off'], ['', 'yes', true]],
    ['fences', ['auto', 'shared', 'relay', 'off'], ['', 'copied', true]],
    ['shm', ['auto', 'fd', 'hide'], ['', 'on', 1]],
    ['spin', ['auto', 'off', 1, 1000], [0, 1001, -1, 1.5, Number.NaN, Infinity, '10', 'on', true]],
    ['clientsMax', [1, 65536], [0, 65537, -1, 0.5, Number.NaN, '5', 'many']],
    ['hostTimeout', [0.1, 4.5, 600], [0, 0.09, 601, -1, Number.NaN, Infinity, '5', '5s']],
    ['runtimeDir', ['/run/x'], ['run', '', './run', 1, '/a\0']],
  ];
  for (const [name, good, bad] of limits) {
    it(`take the values of ${name} at their limits`, () => {
      for (const value of good) assert.ok(resolveOptions({ [name]: value }, ENV).isOk(), String(value));
    });

    it(`refuse senseless values of ${name} in one sentence with its name`, () => {
      for (const value of bad) assert.match(problem({ [name]: value }), new RegExp(`^${name} must be [^\n]+, not [^\n]+$`));
    });
  }

  it('are shortened in messages, and shown on one line', () => {
    assert.ok(problem({ channel: 'x'.repeat(10_000) }).length < 200);
    assert.ok(!problem({ channel: 'a\nb' }).includes('\n'));
  });
});
