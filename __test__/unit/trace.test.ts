import assert from 'node:assert/strict';
import { traceLine } from '../../dist/cli/trace-text.js';
import { Decoder, type Decoded } from '../../dist/trace/decoder.js';
import { PcapPackets, pcapHeader } from '../../dist/trace/pcap.js';
import { namedExtensions, namesOf } from '../../dist/trace/protocol.js';
import { recordsIn, type TraceRecord } from '../../dist/trace/record.js';

const SECRET = 0x5e;
const EXTENSIONS = [
  { name: 'XInputExtension', major: 131, firstEvent: 66, firstError: 129 },
  { name: 'XKEYBOARD', major: 135, firstEvent: 85, firstError: 137 },
  { name: 'XTEST', major: 132, firstEvent: 0, firstError: 0 },
  { name: 'RENDER', major: 139, firstEvent: 0, firstError: 142 },
];

/** Builds messages and their records in one byte order. */
class Wire {
  constructor(readonly bigEndian: boolean) {}

  bytes(length: number, fields: Readonly<Record<number, readonly [width: 1 | 2 | 4, value: number]>>, rest = 0): Buffer {
    const bytes = Buffer.alloc(length, rest);
    for (const [at, [width, value]] of Object.entries(fields)) {
      if (this.bigEndian) bytes.writeUIntBE(value, Number(at), width);
      else bytes.writeUIntLE(value, Number(at), width);
    }
    return bytes;
  }

  record(kind: TraceRecord['kind'], sequence: number, bytes: Buffer, micros = 1_000_000): TraceRecord {
    return { client: 3, micros, kind, length: bytes.length, sequence, bigEndian: this.bigEndian, changed: false, bytes };
  }

  request(sequence: number, major: number, minor: number, length: number, fields: Readonly<Record<number, readonly [1 | 2 | 4, number]>> = {}, rest = 0, micros?: number): TraceRecord {
    return this.record('request', sequence, this.bytes(length, { 0: [1, major], 1: [1, minor], 2: [2, length / 4], ...fields }, rest), micros);
  }

  message(sequence: number, first: number, fields: Readonly<Record<number, readonly [1 | 2 | 4, number]>> = {}, length = 32, rest = 0, micros?: number): TraceRecord {
    return this.record('message', sequence, this.bytes(length, { 0: [1, first], 2: [2, sequence & 0xffff], ...fields }, rest), micros);
  }
}

for (const bigEndian of [false, true]) {
  const wire = new Wire(bigEndian);
  const decoder = (withSecrets = false): Decoder => new Decoder(EXTENSIONS, withSecrets);

  describe(`a ${bigEndian ? 'big' : 'little'}-endian trace`, () => {
    it('names requests and their fields, in either form of their length', () => {
      const one = decoder();
      const plain = one.decode(wire.request(1, 2, 0, 16, { 4: [4, 0x40_0001], 8: [4, 2048] }));
      assert.deepEqual([plain.kind, plain.name, plain.fields], ['request', 'ChangeWindowAttributes', { window: '0x400001', value_mask: '2048' }]);
      const big = one.decode(wire.request(2, 2, 0, 20, { 2: [2, 0], 4: [4, 5], 8: [4, 0x40_0001], 12: [4, 2048] }));
      assert.deepEqual(big.fields, plain.fields);
      assert.equal(one.decode(wire.request(3, 139, 4, 20)).name, 'RENDER.CreatePicture');
      assert.equal(one.decode(wire.request(4, 200, 7, 8)).name, 'opcode 200.7');
    });

    it('gives replies and errors to their requests, also beyond 65,536, and atoms their names', () => {
      const one = decoder();
      const name = wire.bytes(16, { 0: [1, 16], 2: [2, 4], 4: [2, 5] });
      name.write('MYOWN', 8);
      one.decode(wire.record('request', 65_536, name, 1_000_000));
      one.decode(wire.request(65_537, 43, 0, 4, {}, 0, 1_000_100));
      one.decode(wire.request(65_538, 14, 0, 8, { 4: [4, 9] }));
      const atom = one.decode(wire.message(65_536, 1, { 8: [4, 300] }, 32, 0, 1_000_250));
      assert.deepEqual([atom.name, atom.sequence, atom.tookMicros, atom.fields], ['InternAtom', 65_536, 250, { atom: 'MYOWN' }]);
      // The server's number is that of the request, whatever the client has asked since.
      const late = one.decode({ ...wire.message(65_537, 1), sequence: 65_538 });
      assert.deepEqual([late.name, late.sequence], ['GetInputFocus', 65_537]);
      const error = one.decode(wire.message(65_538, 0, { 1: [1, 9], 4: [4, 9], 10: [1, 14] }));
      assert.deepEqual([error.kind, error.name, error.about, error.fields], ['error', 'Drawable', 'GetGeometry', { value: '0x9' }]);
      assert.equal(one.decode(wire.message(65_538, 0, { 1: [1, 143], 8: [2, 4], 10: [1, 139] })).name, 'RENDER.Picture');
      const event = one.decode(wire.message(65_538, 28, { 4: [4, 7], 8: [4, 300] }));
      assert.deepEqual([event.kind, event.name, event.fields], ['event', 'PropertyNotify', { window: '0x7', atom: 'MYOWN', state: '0' }]);
      assert.equal(one.decode(wire.message(65_538, 0x80 | 33)).fields['sent'], 'by a client');
    });

    const typed: readonly (readonly [what: string, record: () => TraceRecord, before?: () => TraceRecord])[] = [
      ['a key', () => wire.message(1, 2, { 1: [1, SECRET] })],
      ["another client's key", () => wire.message(1, 0x80 | 3, { 1: [1, SECRET] })],
      ['the keys that are down', () => wire.record('message', 1, wire.bytes(32, { 0: [1, 11] }, SECRET))],
      ['a key of XInput', () => wire.message(1, 35, { 1: [1, 131], 8: [2, 2], 16: [4, SECRET] }, 84)],
      ['a raw key', () => wire.message(1, 35, { 1: [1, 131], 8: [2, 13], 16: [4, SECRET] }, 64)],
      ["a device's key", () => wire.message(1, 67, { 1: [1, SECRET] })],
      ['a key in the state of XKB', () => wire.message(1, 85, { 1: [1, 2], 28: [1, SECRET] })],
      ['a key that is made up', () => wire.request(1, 132, 2, 36, { 4: [1, 2], 5: [1, SECRET] })],
      ['a key that is sent', () => wire.request(1, 25, 0, 44, { 12: [1, 2], 13: [1, SECRET] })],
      ['a key that is sent in the long form', () => wire.request(1, 25, 0, 48, { 2: [2, 0], 4: [4, 12], 16: [1, 2], 17: [1, SECRET] })],
      ["a property's content", () => wire.request(1, 18, 0, 64, { 4: [4, 1], 8: [4, 31], 12: [4, 31], 16: [1, 8], 17: [1, 0], 18: [2, 0], 20: [4, 40] }, SECRET)],
      ['what a property holds', () => wire.message(1, 1, { 1: [1, 8], 4: [4, 8], 8: [4, 31], 12: [4, 0], 16: [4, 32], 20: [4, 0], 24: [4, 0], 28: [4, 0] }, 64, SECRET), () => wire.request(1, 20, 0, 24)],
      ['which keys are down', () => wire.message(1, 1, { 1: [1, 0], 4: [4, 2] }, 40, SECRET), () => wire.request(1, 44, 0, 4)],
      ['what answers nobody knows what', () => wire.message(1, 1, { 1: [1, 0], 4: [4, 8] }, 64, SECRET)],
      ['a request of an unknown extension', () => wire.request(1, 222, 0, 64, {}, SECRET)],
      ['an event of an unknown extension', () => wire.message(1, 35, { 1: [1, 222], 4: [4, 8] }, 64, SECRET)],
    ];
    for (const [what, make, before] of typed) {
      it(`blanks ${what} unless it is asked for`, () => {
        for (const withSecrets of [false, true]) {
          const one = decoder(withSecrets);
          if (before !== undefined) one.decode(before());
          const record = make();
          const { length } = record.bytes;
          const decoded = one.decode(record);
          assert.deepEqual([record.bytes.includes(SECRET), decoded.blanked, record.bytes.length], [withSecrets, !withSecrets, length]);
          assert.ok(withSecrets || !JSON.stringify(decoded.fields).includes(String(SECRET)));
        }
      });
    }

    it('bears messages that break off anywhere', () => {
      for (const [, make] of typed) {
        const record = make();
        for (let length = 0; length <= record.bytes.length; length++) assert.ok(traceLine(decoder().decode({ ...record, bytes: Buffer.from(record.bytes.subarray(0, length)) })));
      }
    });
  });
}

describe('a trace', () => {
  it('has names for the core protocol and for extensions', () => {
    assert.equal(namesOf().requests.size, 120);
    assert.deepEqual([namesOf().events.get(34), namesOf().errors.get(17), namesOf().atoms.get(68)], ['MappingNotify', 'Implementation', 'WM_TRANSIENT_FOR']);
    assert.ok(namedExtensions().length > 25);
    for (const name of namedExtensions().filter((extension) => extension !== 'Generic Event Extension')) assert.ok(namesOf(name).requests.size > 0, name);
  });

  it('takes no record that is not whole', () => {
    const head = Buffer.alloc(32);
    head.writeUInt16LE(4, 28);
    assert.deepEqual(recordsIn(Buffer.concat([head, Buffer.from('abcd'), head, Buffer.from('abc')])).map(({ bytes }) => bytes.toString()), ['abcd']);
    head.writeUInt8(9, 30);
    assert.deepEqual(recordsIn(Buffer.concat([head, Buffer.from('abcd')])), []);
  });

  it('writes lines without anything that controls a terminal', () => {
    const decoded: Decoded = { micros: 0, client: 1, program: 'a\u001Bb', kind: 'request', name: 'X', sequence: 1, length: 4, fields: { name: '\u009B\u202E' }, changed: true, blanked: false };
    assert.match(traceLine(decoded), /^\d\d:\d\d:00\.000000 {3}1 a\?b -> #1 X 4 B name=\?\? \(refused by the bridge\)$/);
  });

  it('is a file of packets, of which long messages take several', () => {
    const packets = new PcapPackets();
    const wire = new Wire(false);
    const long = { ...wire.request(1, 72, 2, 512), length: 150_000 };
    const file = Buffer.concat([pcapHeader(), packets.of(wire.record('begins', 0, Buffer.from('xterm'))), packets.of(long), packets.of(wire.message(1, 1)), packets.of(wire.record('ends', 0, Buffer.alloc(0)))]);
    const seen: (readonly [captured: number, whole: number, toServer: boolean, sequence: number])[] = [];
    for (let at = 24; at < file.length; at += 16 + file.readUInt32LE(at + 8)) {
      const ip = at + 16;
      assert.equal(file.readUInt16BE(ip + 2), file.readUInt32LE(at + 12));
      seen.push([file.readUInt32LE(at + 8) - 40, file.readUInt32LE(at + 12) - 40, file.readUInt16BE(ip + 22) === 6000, file.readUInt32BE(ip + 24)]);
    }
    assert.deepEqual(seen, [[12, 12, true, 1], [512, 65_000, true, 13], [0, 65_000, true, 65_013], [0, 20_000, true, 130_013], [32, 32, false, 1]]);
  });
});
