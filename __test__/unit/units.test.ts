import assert from 'node:assert/strict';
import { requestName } from '../../dist/trace/protocol.js';
import { bytes, count, duration, jsonLine, microseconds, printable } from '../../dist/cli/units.js';
import { roundTripBelow } from '../../dist/session/client-status.js';

describe('numbers for people', () => {
  const cases: readonly (readonly [actual: string, expected: string])[] = [
    [bytes(0), '0 B'],
    [bytes(999), '999 B'],
    [bytes(1000), '1.0 kB'],
    [bytes(12_345), '12 kB'],
    [bytes(999_600), '1.0 MB'],
    [bytes(2 ** 53), '9.0 PB'],
    [duration(0), '0 ms'],
    [duration(999), '999 ms'],
    [duration(1000), '1 s'],
    [duration(119_999), '119 s'],
    [duration(120_000), '2 min'],
    [duration(7_200_000), '2 h 0 min'],
    [duration(48 * 3_600_000), '2 d 0 h'],
    [microseconds(64), '64 µs'],
    [microseconds(2048), '2 ms'],
    [count(1_234_567), '1,234,567'],
  ];
  for (const [actual, expected] of cases) it(`are written as ${expected}`, () => assert.equal(actual, expected));
});

describe('text of others', () => {
  it('moves no cursor and changes no colour', () => {
    assert.equal(printable('a\u001B[31mb\r\nc\u009Bd\u0007é😀'), 'a?[31mb??c?d?é😀');
    assert.equal(printable('a\u202Eb\u2066c\u200Fd\u2028e\uFEFFf'), 'a?b?c?d?e?f');
  });

  it('of others controls no terminal in JSON either, and stays what it was', () => {
    const text = 'a\u001B[31mb\u009Bc\u202Ed\u{E0001}\u2028é😀';
    const line = jsonLine({ text });
    assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}]/u);
    assert.ok(line.includes('é😀'));
    assert.deepEqual(JSON.parse(line), { text });
  });
});

describe('requests', () => {
  it('have the names of the protocol', () => {
    assert.deepEqual([1, 43, 73, 98, 119, 127].map(requestName), ['CreateWindow', 'GetInputFocus', 'GetImage', 'QueryExtension', 'GetModifierMapping', 'NoOperation']);
    assert.deepEqual([0, 120, 126, 128, 255].map(requestName), ['opcode 0', 'opcode 120', 'opcode 126', 'opcode 128', 'opcode 255']);
  });
});

describe('round trips', () => {
  it('have a time that a share of them stays below', () => {
    assert.equal(roundTripBelow({ roundTrips: [0, 0, 0] }, 0.5), undefined);
    assert.equal(roundTripBelow({ roundTrips: [0, 0, 1] }, 0.5), 4);
    assert.equal(roundTripBelow({ roundTrips: [0, 5, 4, 1] }, 0.5), 2);
    assert.equal(roundTripBelow({ roundTrips: [0, 5, 4, 1] }, 0.99), 8);
  });
});
