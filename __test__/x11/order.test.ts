// Order and identity: every request gets its own answer, in whatever way it is cut, asked or counted.

import assert from 'node:assert/strict';
import { attack, attackBoth, type Sight } from './support/attack.js';
import { HIDDEN, overEveryChannel, type Channel } from './support/stage.js';

/** The answer to a query for an extension that is not there: present, opcode, first event, first error. */
const ABSENT = [0, 0, 0, 0];
/** Around what hosts of virtual machines carry at once, and around what sockets and libraries buffer. */
const CHUNKS = [1, 3, 32, 3743, 3744, 3745, 4095, 4096, 16_384, 65_535, 65_536, 1_000_000];

overEveryChannel('order and identity', (stage) => {
  for (const order of ['little', 'big']) {
    for (const form of ['short', 'big']) {
      it(`extensions are found by a ${order}-endian client with many queries of the ${form} form outstanding`, async () => {
        const { direct, bridged } = await attackBoth(stage, 'extensions', '--order', order, '--form', form);
        assert.deepEqual(bridged, withHidden(direct, stage.channel));
      });
    }

    it(`a ${order}-endian client that only lists extensions sees no hidden one`, async () => {
      const { direct, bridged } = await attackBoth(stage, 'list-extensions', '--order', order);
      assert.deepEqual(bridged, { listed: visible(direct, stage.channel) });
    });

    it(`a ${order}-endian stream of requests gets the same answers in writes of every size`, async () => {
      for (const chunk of CHUNKS) {
        // Byte by byte, a short stream is enough.
        const side = chunk < 100 ? '30' : '300';
        const { direct, bridged } = await attackBoth(stage, 'session', '--order', order, '--chunk', String(chunk), '--side', side);
        assert.equal(direct['error'], undefined);
        assert.deepEqual(bridged, direct, `in writes of ${chunk} bytes`);
      }
    });
  }

  it('sequence numbers stay right past 65,536', async () => {
    assert.deepEqual(await attack(stage.env('bridged'), 'sequence', '--count', '140000'), { replies: 140_000 });
  });

  it('a set-up in two pieces is understood, with a request behind it in the same write', async () => {
    const { direct, bridged } = await attackBoth(stage, 'setup-pieces');
    assert.equal(direct['error'], undefined);
    assert.deepEqual(bridged, direct);
  });

  it('unknown requests get their errors from the server', async () => {
    const { direct, bridged } = await attackBoth(stage, 'unknown-requests');
    assert.equal(direct['errors'], 500);
    assert.deepEqual(bridged, direct);
  });
});

/** What a client sees whose bridge hides some of what there is. */
function withHidden(sight: Sight, channel: Channel): Sight {
  const answers = Object.entries(sight['answers'] as Record<string, number[]>);
  const shown = answers.map(([name, answer]) => [name, HIDDEN[channel].includes(name) ? ABSENT : answer]);
  return { listed: visible(sight, channel), answers: Object.fromEntries(shown) as unknown };
}

function visible(sight: Sight, channel: Channel): string[] {
  return (sight['listed'] as string[]).filter((name) => !HIDDEN[channel].includes(name));
}
