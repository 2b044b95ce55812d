// DRI3 and all that belongs to it, on servers that have it: every request with descriptors, checked to the last pixel.

import assert from 'node:assert/strict';
import { descriptors, type Sight } from './support/attack.js';
import { footprint, untilFlat } from './support/footprint.js';
import { overEveryChannel, type Side, type Stage } from './support/stage.js';

/** Either byte order, and the requests in either form. */
const CLIENTS: readonly (readonly [string, readonly string[]])[] = [
  ['a little-endian client', []],
  ['a big-endian client', ['--order', 'big']],
  ['a client of BIG-REQUESTS', ['--form', 'big']],
  ['a big-endian client of BIG-REQUESTS', ['--form', 'big', '--order', 'big']],
];

/** The codes of a `Window` error, and of a `Match` error. */
const BAD_WINDOW = 3;
const BAD_MATCH = 8;

overEveryChannel(
  'DRI3',
  (stage) => {
    for (const [who, options] of CLIENTS) {
      it(`${who} passes buffers of one to four planes both ways`, async () => {
        const sight = await sameOnBothSides(stage, 'buffers', ...options);
        const { open, single, planes } = sight as { open: Sight; single: Sight; planes: Sight[] };
        assert.equal(open['content'], 'x11bridge-test-node');
        assert.deepEqual([single['shown'], single['returned']], [[true, true], true]);
        const returned = planes.map((count) => count['returned']);
        assert.deepEqual(returned, [[true], [true, true], [true, true, true], [true, true, true, true]]);
      });

      it(`${who} shares fences, and presents a frame that waits for one and signals another`, async () => {
        const { frame } = (await sameOnBothSides(stage, 'fences', ...options)) as { frame: Sight };
        // X servers up to 21.1 forget to swap the ids of Present's requests, so nobody presents from a big-endian machine.
        assert.deepEqual(frame, options.includes('big') && options.includes('--order') ? null : { errors: [], events: [1, 2], idle: [0, 1], ready: 1, right: true });
      });

      it(`${who} sends descriptors in the shapes that Mesa does`, async () => {
        const sight = await sameOnBothSides(stage, 'shapes', ...options);
        assert.deepEqual(sight['pair'], [[], true]);
        assert.deepEqual(sight['three fences'], [[], [0, 1, 0]]);
      });

      it(`${who} gets the server's own error for descriptors that are not what they should be`, async () => {
        const { direct, bridged } = await bothSides(stage, 'faults', ...options);
        if (stage.channel === 'loopback') {
          // A lease is a descriptor of a device, which only the socket carries.
          const lease = direct['lease'] as Sight;
          if (lease['code'] === BAD_MATCH) lease['code'] = BAD_WINDOW;
        }
        assert.deepEqual(bridged, direct);
        assert.deepEqual(bridged['right'], ['ok', true]);
      });
    }

    it('leaves no descriptor behind after 2,000 buffers', async () => {
      await descriptors(stage.env('bridged'), 'cycles', '--count', '10');
      const before = footprint(stage.bridge.pid);
      assert.deepEqual(await descriptors(stage.env('bridged'), 'cycles', '--count', '2000'), { errors: [], right: 2000 });
      await untilFlat(stage.bridge.pid, before);
    });
  },
  { dri3: true },
);

for (const policy of ['guest', 'isolated']) overEveryChannel(
  `DRI3 under the policy ${policy}`,
  (stage) => {
    it('passes buffers and fences as without one', async () => {
      for (const script of ['buffers', 'fences', 'shapes']) await sameOnBothSides(stage, script);
    });
  },
  { dri3: true, args: ['--policy', policy] },
);

/** Runs a script on both sides, asserts that it saw the same, and returns that. */
async function sameOnBothSides(stage: Stage, ...args: readonly string[]): Promise<Sight> {
  const { direct, bridged } = await bothSides(stage, ...args);
  assert.deepEqual(bridged, direct);
  return bridged;
}

async function bothSides(stage: Stage, ...args: readonly string[]): Promise<Record<Side, Sight>> {
  const [direct, bridged] = await Promise.all([descriptors(stage.env('direct'), ...args), descriptors(stage.env('bridged'), ...args)]);
  assert.equal(direct['error'], undefined, JSON.stringify(direct));
  return { direct, bridged };
}
