// What a policy's author writes and what its table says are the same: two readings of random rules on random requests, one by names and
// values, one by words and bytes. That the addon reads tables so is tested in crates/session/tests/policy.rs.

import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { allRequests, type Field, type Request } from '../../dist/policy/catalogue.js';
import { compilePolicy, type PolicyTable } from '../../dist/policy/compile.js';
import { checkPolicy, ERRORS, isAbove, isAtoms, isBits, type Condition, type Rule } from '../../dist/policy/rule.js';

const CLASSES = ['none', 'own', 'root', 'other'] as const;
const IDS = [0, 0x20_0007, 0x51, 0x60_0001];
const ATOMS = ['PRIMARY', 'CLIPBOARD', 'WM_NAME', '_MINE'];
/** Their numbers at this server, and one that has none of these names. */
const NUMBERS = [1, 300, 39, 301, 77];
const NAMES = new Set(['CreateWindow', 'ChangeWindowAttributes', 'ConfigureWindow', 'ChangeProperty', 'GetProperty', 'CopyArea', 'GetImage', 'GrabButton', 'ConvertSelection', 'RENDER.CreatePicture', 'XFIXES.SelectSelectionInput', 'SHAPE.Mask']);
const DETAIL = 0xffff;
/** Numbers at the edges of a table's words. */
const EDGES = [0, 1, 2, 31, 32, 33, 63];

type ByName = ReadonlyMap<string, number>;
type Outcome = readonly [action: string, error: number];

/** A request with a value for each field that has a place, and a list of 32 values of which a mask says which are there. */
interface Sample {
  readonly request: Request;
  readonly fields: ByName;
  readonly values: readonly number[];
}

const fullName = ({ extension, name }: Request): string => (extension === undefined ? name : `${extension}.${name}`);
const POOL = allRequests().filter((request) => NAMES.has(fullName(request)));
const plain = (request: Request): [string, Field & { width: 1 | 2 | 4 }][] => [...request.fields].filter((entry): entry is [string, Field & { width: 1 | 2 | 4 }] => 'width' in entry[1] && !('value' in entry[1]));
const listed = (request: Request): [string, Field & { width: 4; value: { mask: number; maskWidth: 2 | 4; bit: number } }][] =>
  [...request.fields].filter((entry): entry is [string, Field & { width: 4; value: { mask: number; maskWidth: 2 | 4; bit: number } }] => 'value' in entry[1]);

function valueOf(kind: Field['kind'], width: number): fc.Arbitrary<number> {
  if (kind === 'id' || kind === 'new') return fc.constantFrom(...IDS);
  if (kind === 'atom') return fc.constantFrom(...NUMBERS);
  return fc.oneof(fc.constantFrom(...EDGES), fc.integer({ min: 0, max: width === 4 ? 0xffff_ffff : 2 ** (8 * width) - 1 }));
}

const sampleOf = (request: Request): fc.Arbitrary<Sample> =>
  fc.record({
    request: fc.constant(request),
    fields: fc.tuple(...plain(request).map(([name, { kind, width }]) => valueOf(kind, width).map((value) => [name, value] as const))).map((entries) => new Map(entries)),
    values: fc.array(fc.constantFrom(...IDS, 5, 0x800), { minLength: 32, maxLength: 32 }),
  });

const classes = fc.oneof(fc.constantFrom(...CLASSES), fc.uniqueArray(fc.constantFrom(...CLASSES), { minLength: 1 }));
const bits = fc.integer({ min: 1, max: 0xffff_ffff }).map((mask) => ({ bits: mask }));

function conditionOn({ kind }: Field): fc.Arbitrary<Condition> {
  if (kind === 'id' || kind === 'new') return classes;
  if (kind === 'atom') return fc.uniqueArray(fc.constantFrom(...ATOMS), { minLength: 1 }).map((atom) => ({ atom }));
  return fc.oneof(bits, fc.constantFrom(...EDGES), fc.uniqueArray(fc.nat(63), { minLength: 1, maxLength: 30 }), fc.nat(0xffff).map((above) => ({ above })));
}

function ruleOf(request: Request): fc.Arbitrary<Rule> {
  const conditions = [...request.fields].filter(([, { kind }]) => kind !== 'xi2' && kind !== 'requested').map(([name, field]) => conditionOn(field).map((condition) => [name, condition] as const));
  const when = fc.tuple(fc.shuffledSubarray(conditions.map((_, at) => at), { maxLength: Math.min(2, conditions.length) }), fc.tuple(...conditions), fc.option(classes, { freq: 8 })).map(([chosen, all, any]) => Object.fromEntries([...(any === null ? [] : [['any', any] as const]), ...chosen.map((at) => all[at] ?? [])] as [string, Condition][]));
  const name = fc.oneof({ weight: 6, arbitrary: fc.constant(fullName(request)) }, { weight: 1, arbitrary: fc.constant(request.extension === undefined ? '*' : `${request.extension}.*`) });
  return fc.record({ request: name, when, action: fc.constantFrom('allow', 'deny', 'ignore', 'observe', 'strip') }).chain((bare) => (bare.action === 'deny' ? fc.option(fc.constantFrom(...(Object.keys(ERRORS) as (keyof typeof ERRORS)[])), { nil: undefined }).map((error) => ({ ...bare, ...(error && { error }) })) : fc.constant(bare))) as fc.Arbitrary<Rule>;
}

/** Rules and requests that have to do with each other, mostly. */
const policy = fc.constantFrom(...POOL).chain((request) =>
  fc.record({
    rules: fc.array(fc.oneof({ weight: 6, arbitrary: ruleOf(request) }, { weight: 1, arbitrary: fc.constantFrom(...POOL).chain(ruleOf) }), { minLength: 1, maxLength: 5 }),
    samples: fc.array(sampleOf(request), { minLength: 3, maxLength: 12 }),
  }),
);

/** The values by their names, those of the list as far as the mask has them. */
function named({ request, fields, values }: Sample): Map<string, number> {
  const mask = fields.get('value_mask') ?? 0;
  return new Map([...fields, ...listed(request).flatMap(([name, { value }]): [string, number][] => ((mask >>> value.bit) & 1 ? [[name, values[value.bit] ?? 0]] : []))]);
}

function says(condition: Condition, value: number | undefined): boolean {
  if (value === undefined) return false;
  if (isBits(condition)) return (value & condition.bits) !== 0;
  if (isAbove(condition)) return value > condition.above;
  if (isAtoms(condition)) return condition.atom.some((name) => NUMBERS[ATOMS.indexOf(name)] === value);
  const list = (Array.isArray(condition) ? condition : [condition]) as readonly (string | number)[];
  return list.some((one) => (typeof one === 'number' ? one === (value & 0x7f) : CLASSES[IDS.indexOf(value)] === one));
}

/** Whether a rule speaks of a request, and all of its conditions hold. */
function applies({ request, when = {}, action }: Rule, one: Sample, values: ByName): boolean {
  const covering = [fullName(one.request), one.request.extension === undefined ? '*' : `${one.request.extension}.*`, '*'];
  const { any, ...rest } = when;
  const ids = [...one.request.fields].filter(([, { kind }]) => kind === 'id').map(([name]) => name);
  if (!covering.some((name) => name === request) || (action === 'ignore' && one.request.replies)) return false;
  if (!Object.entries(rest).every(([name, condition]) => one.request.fields.has(name) && says(condition, values.get(name)))) return false;
  return any === undefined || ids.some((id) => says(any, values.get(id)));
}

/** By names and values. */
function interpreted(rules: readonly Rule[], one: Sample): { outcome: Outcome; values: Map<string, number> } {
  const values = named(one);
  for (const rule of rules) {
    if (!applies(rule, one, values)) continue;
    if (rule.action === 'allow') return { outcome: ['pass', 0], values };
    if (rule.action === 'deny') return { outcome: ['deny', ERRORS[rule.error ?? 'Access']], values };
    if (rule.action === 'ignore') return { outcome: ['ignore', 0], values };
    const [name, condition] = Object.entries(rule.when ?? {}).at(-1) ?? [];
    if (rule.action === 'strip' && name !== undefined && condition !== undefined && isBits(condition)) values.set(name, ((values.get(name) ?? 0) & ~condition.bits) >>> 0);
  }
  return { outcome: ['pass', 0], values };
}

class Bytes {
  readonly bytes = Buffer.alloc(300);

  constructor(
    readonly bigEndian: boolean,
    readonly header: number,
  ) {}

  at(offset: number): number {
    return offset === DETAIL ? 1 : this.header + offset;
  }

  read(offset: number, width: number): number {
    return this.bigEndian ? this.bytes.readUIntBE(this.at(offset), width) : this.bytes.readUIntLE(this.at(offset), width);
  }

  write(offset: number, width: number, value: number): void {
    if (this.bigEndian) this.bytes.writeUIntBE(value, this.at(offset), width);
    else this.bytes.writeUIntLE(value, this.at(offset), width);
  }
}

function encoded(one: Sample, bigEndian: boolean, header: number, byName: ByName = one.fields): Bytes {
  const out = new Bytes(bigEndian, header);
  for (const [name, { at, width }] of plain(one.request)) out.write(at === 'detail' ? DETAIL : Number(at), width, byName.get(name) ?? 0);
  writeList(out, one, byName);
  return out;
}

function writeList(out: Bytes, { request, fields, values }: Sample, byName: ByName): void {
  const list = listed(request);
  const [, { at = 0, value: { maskWidth = 4 } = {} } = {}] = list[0] ?? [];
  const mask = list.length === 0 ? 0 : (fields.get('value_mask') ?? 0);
  const there = values.map((value, bit) => ({ value, bit })).filter(({ bit }) => bit < 8 * maskWidth && (mask >>> bit) & 1);
  for (const [place, { value, bit }] of there.entries()) {
    const [name = ''] = list.find(([, field]) => field.value.bit === bit) ?? [];
    out.write(Number(at) + 4 * place, 4, byName.get(name) ?? value);
  }
}

type Word = () => number;
interface Place {
  readonly at: number;
  readonly width: number;
}

/** Where a test looks; undefined for a value that the mask doesn't have. */
function subjectOf(word: Word, bytes: Bytes): Place | undefined {
  const [subject, first] = [word(), word()];
  const field = { at: first & 0xffff, width: first >>> 16 };
  if (subject === 0) return field;
  const mask = bytes.read(field.at, field.width);
  const [at, bit] = [word(), word()];
  const before = [...Array(bit).keys()].filter((one) => (mask >>> one) & 1).length;
  return (mask >>> bit) & 1 ? { at: at + 4 * before, width: 4 } : undefined;
}

/** What a test asks of a value. */
function asks(ask: number, low: number, high: number, value: number, atoms: readonly string[]): boolean {
  const number = value & 0x7f;
  switch (ask) {
    case 0:
      return ((1 << IDS.indexOf(value)) & low) !== 0;
    case 1:
      return (value & low) !== 0;
    case 2:
      return number < 64 && (((number < 32 ? low : high) >>> (number % 32)) & 1) === 1;
    case 3:
      return atoms.slice(low, low + high).some((name) => NUMBERS[ATOMS.indexOf(name)] === value);
    default:
      return value > low;
  }
}

/** By words and bytes, as crates/session/src/policy/table.rs describes them. */
function executed({ words, extensions, atoms }: PolicyTable, { request }: Sample, bytes: Bytes): Outcome {
  const group = extensions.indexOf(request.extension ?? '') + 1;
  const next = words.slice(1 + extensions.length)[Symbol.iterator]();
  const word: Word = () => next.next().value ?? Number.NaN;
  for (let place = word(); !Number.isNaN(place); place = word()) {
    const [opcode, action, error] = [word(), word(), word()];
    word();
    let [holds, strip] = [true, (): void | undefined => undefined];
    for (let tests = word(); tests > 0; tests--) {
      const field = subjectOf(word, bytes);
      const [ask, negate, low, high] = [word(), word(), word(), word()];
      assert.equal(negate, 0);
      const value = field && bytes.read(field.at, field.width);
      holds &&= value !== undefined && asks(ask, low, high, value, atoms);
      strip = () => field && bytes.write(field.at, field.width, ((value ?? 0) & ~low) >>> 0);
    }
    if (place !== group || opcode !== request.opcode || !holds) continue;
    if (action < 3) return ([['pass', 0], ['deny', error], ['ignore', 0]] as const)[action] ?? ['pass', 0];
    if (action === 4) strip();
  }
  return ['pass', 0];
}

describe('a compiled policy', () => {
  for (const [bigEndian, header] of [[false, 4], [true, 4], [false, 8], [true, 8]] as const) {
    it(`says what its rules say of ${bigEndian ? 'big' : 'little'}-endian requests${header === 8 ? ' in the form of BIG-REQUESTS' : ''}`, () => {
      let [compared, decided] = [0, 0];
      fc.assert(
        fc.property(policy, ({ rules, samples }) => {
          const compiled = checkPolicy({ base: 'open', processes: 'keep', rules }).andThen(compilePolicy);
          fc.pre(compiled.isOk());
          for (const one of samples) {
            const bytes = encoded(one, bigEndian, header);
            const { outcome, values } = interpreted(rules, one);
            assert.deepEqual(executed(compiled._unsafeUnwrap(), one, bytes), outcome);
            assert.deepEqual(bytes.bytes, encoded(one, bigEndian, header, values).bytes);
            compared++;
            if (outcome[0] !== 'pass') decided++;
          }
        }),
        { numRuns: 500 },
      );
      // The samples would be worth nothing if no rule ever met its request.
      assert.ok(compared >= 300 && decided >= compared / 10, `${decided} of ${compared}`);
    });
  }
});
