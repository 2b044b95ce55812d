import assert from 'node:assert/strict';
import { painter } from '../../dist/cli/paint.js';
import { TopScreen } from '../../dist/cli/top-screen.js';
import type { BridgeStatus } from '../../dist/control/protocol.js';
import type { ClientStatus } from '../../dist/session/client-status.js';
import type { Totals } from '../../dist/session/events.js';

const NONE: Totals = { bytesToHost: 0, bytesToClient: 0, requests: 0, replies: 0, events: 0, errors: 0, denied: 0, fdsToHost: 0, fdsToClient: 0, fdsDropped: 0, fencesShared: 0, fencesRelayed: 0, fencesCrowdedOut: 0, fencesStale: 0, fencesGivenUp: 0 };

function client(number: number, program: string, more: Partial<Totals> = {}): ClientStatus {
  return { client: number, program, ageMs: 1000 * number, totals: { ...NONE, ...more }, awaited: 0, queuedToHost: 0, queuedToClient: 0, roundTrips: [], roundTripMicros: 0 };
}

function status(...clients: ClientStatus[]): BridgeStatus {
  const stats = { clients: clients.length, clientsTotal: 9, clientsRefused: 0, panics: 0, totals: NONE, roundTrips: [], roundTripMicros: 0 };
  return { version: '1', pid: 1, ageMs: 1, display: ':1', channel: 'socket', channelReason: 'why', stats, clients } as BridgeStatus;
}

const PLAIN = painter({ isTTY: false }, {});
const TTY = { isTTY: true } as const;

/** A screen that has seen two statuses, two seconds apart. */
function screen(): TopScreen {
  const top = new TopScreen(PLAIN);
  top.update(status(client(1, 'xterm'), client(2, 'emacs'), client(3, 'xclock')), 0);
  top.update(status(client(1, 'xterm', { bytesToHost: 2000, requests: 20 }), client(2, 'emacs', { bytesToHost: 90, requests: 90 }), client(3, 'xclock')), 2);
  return top;
}

function programs(top: TopScreen, height = 30): string[] {
  return top.render(200, height).flatMap((line) => /xterm|emacs|xclock/.exec(line)?.[0] ?? []);
}

describe('top', () => {
  it('sorts by what goes through in a second, the most first', () => {
    const top = screen();
    assert.deepEqual(programs(top), ['xterm', 'emacs', 'xclock']);
    assert.match(top.render(200, 30).join('\n'), /xterm +1 s +1\.0 kB +10 /);
  });

  it('sorts by the column that is chosen, and the other way round', () => {
    const top = screen();
    top.press('right');
    assert.deepEqual(programs(top), ['emacs', 'xterm', 'xclock']);
    top.press('r');
    assert.deepEqual(programs(top), ['xclock', 'xterm', 'emacs']);
    for (const key of ['r', 'left', 'left', 'left']) top.press(key);
    assert.deepEqual(programs(top), ['emacs', 'xclock', 'xterm']);
  });

  it('goes round the columns without end', () => {
    const top = screen();
    const before = programs(top);
    for (let column = 0; column < 16; column++) top.press('right');
    assert.deepEqual(programs(top), before);
  });

  it('marks the column that is sorted by, and no other of a like name', () => {
    const top = new TopScreen(painter(TTY, {}));
    top.update(status(client(1, 'xterm')), 1);
    for (let column = 0; column < 4; column++) top.press('right');
    const head = top.render(300, 30).find((line) => line.includes('PROGRAM')) ?? '';
    assert.ok(head.includes('  \u001B[7mREQUESTS\u001B[27m  ') && head.includes('REQUESTS/S'), JSON.stringify(head));
  });

  it('closes a client only after it was selected and confirmed', () => {
    const top = screen();
    assert.deepEqual(top.press('k'), { do: 'nothing' });
    top.press('down');
    top.press('down');
    assert.deepEqual(top.press('k'), { do: 'nothing' });
    assert.match(top.render(200, 30).at(-1) ?? '', /^close client 2 \(emacs\)\?/);
    assert.deepEqual(top.press('n'), { do: 'nothing' });
    top.press('k');
    assert.deepEqual(top.press('y'), { do: 'close', client: 2 });
    assert.deepEqual(top.press('y'), { do: 'nothing' });
  });

  it('does not ask about a client that has gone meanwhile', () => {
    const top = screen();
    top.press('down');
    top.press('k');
    top.update(status(client(3, 'xclock')), 1);
    assert.match(top.render(200, 30).at(-1) ?? '', /^left\/right/);
    assert.deepEqual(top.press('y'), { do: 'nothing' });
  });

  it('fits into any terminal, with the selected client in sight', () => {
    const top = new TopScreen(PLAIN);
    top.update(status(...Array.from({ length: 100 }, (_, at) => client(at + 1, `program${at + 1}`))), 1);
    for (let step = 0; step < 60; step++) top.press('down');
    for (const [width, height] of [[20, 5], [80, 24], [500, 60]] as const) {
      const lines = top.render(width, height);
      assert.ok(lines.every((line) => line.length <= width));
      if (height >= 8) assert.equal(lines.length, height);
      if (width >= 80) assert.ok(lines.some((line) => line.includes('program60')), `${width}x${height}`);
    }
  });

  it('survives a bridge without clients, and every key', () => {
    const top = new TopScreen(PLAIN);
    assert.deepEqual(top.render(80, 24), ['waiting for the bridge']);
    top.update(status(), 1);
    for (const key of ['up', 'down', 'k', 'y', 'left', 'r', 'x', '']) assert.deepEqual(top.press(key), { do: 'nothing' });
    assert.equal(top.render(80, 24).length, 24);
    assert.deepEqual(top.press('q'), { do: 'quit' });
  });
});

describe('colours', () => {
  it('are for terminals that want some', () => {
    assert.equal(painter(TTY, {}).red('x'), '\u001B[31mx\u001B[39m');
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) assert.equal(painter(TTY, env).red('x'), 'x');
    assert.equal(painter(TTY, { NO_COLOR: '' }).red('x'), '\u001B[31mx\u001B[39m');
    assert.equal(PLAIN.red('x'), 'x');
  });
});
