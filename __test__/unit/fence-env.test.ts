import assert from 'node:assert/strict';
import { fenceEnv } from '../../dist/session/fence-env.js';

const SHARED = { isShared: true, hasNames: true };

describe('where the programs of run keep their fences', () => {
  it('is the /dev/shm that the host has too, where fences may be shared', () => {
    const asked: string[] = [];
    const sharing = (folder: string): typeof SHARED => (asked.push(folder), SHARED);
    for (const fences of ['auto', 'shared'] as const) assert.deepEqual(fenceEnv('virtgpu', fences, sharing), { XSHMFENCE_NO_MEMFD: '1' });
    assert.deepEqual(asked, ['/dev/shm', '/dev/shm']);
  });

  it('is left to libxshmfence elsewhere', () => {
    for (const sharing of [undefined, { isShared: true, hasNames: false }, { isShared: false, hasNames: true }]) assert.deepEqual(fenceEnv('virtgpu', 'auto', () => sharing), {});
    for (const fences of ['relay', 'off'] as const) assert.deepEqual(fenceEnv('virtgpu', fences, () => SHARED), {});
    for (const channel of ['socket', 'loopback', 'tcp', 'vsock'] as const) assert.deepEqual(fenceEnv(channel, 'auto', () => SHARED), {});
  });
});
