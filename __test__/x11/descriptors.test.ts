// Messages with descriptors, each to the right message.

import assert from 'node:assert/strict';
import { attack, attackBoth } from './support/attack.js';
import { overEveryChannel } from './support/stage.js';

overEveryChannel('descriptors', (stage) => {
  const shared = (sight: object) => ({ shm: 'present', ...sight });

  it('a segment that the client made is drawn by the server', async () => {
    assert.deepEqual(await attack(stage.env('bridged'), 'attach-fd'), shared({ drawn: true }));
  });

  it('a segment that the server made comes to the client with the first byte of its reply', async () => {
    const { direct, bridged } = await attackBoth(stage, 'create-segment');
    assert.deepEqual(direct, { shm: 'present', fds: [1, 0], drawn: true });
    assert.deepEqual(bridged, shared({ fds: [1, 0], drawn: true }));
  });

  it('a descriptor that arrives 10 KiB before its request still belongs to it', async () => {
    assert.deepEqual(await attack(stage.env('bridged'), 'attach-fd', '--early', '10240'), shared({ drawn: true }));
  });

  it('a big-endian client shares memory too', async () => {
    assert.deepEqual(await attack(stage.env('bridged'), 'attach-fd', '--order', 'big'), shared({ drawn: true }));
  });

  it('descriptors that nobody asked for cost only the client that sent them, as they do at the server itself', async () => {
    const { direct } = await attackBoth(stage, 'attach-fd', '--stray', '3');
    assert.deepEqual(direct, { shm: 'present', drawn: false });
    assert.deepEqual(await attack(stage.env('bridged'), 'attach-fd'), shared({ drawn: true }));
  });
});
