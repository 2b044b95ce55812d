// What a policy's author writes is what clients get: random rules, read here by names and values, and compiled to a table that a bridge has its
// client obey. Its requests come out at a server that notes them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as fc from 'fast-check';
import { startBridge } from 'x11bridge';
import { allRequests, type Field, type Request } from '../../dist/policy/catalogue.js';
import { compilePolicy, type PolicyTable } from '../../dist/policy/compile.js';
import { checkPolicy, ERRORS, isAbove, isAtoms, isBits, type Condition, type Rule } from '../../dist/policy/rule.js';
import type { NativeBridge } from '../../dist/session/bridge.js';
import { TemporaryFolder } from '../support/temporary.js';
import { Incoming, ScriptedServer, UNASSIGNED, Wire } from './support/scripted-server.js';

const CLASSES = ['none', 'own', 'root', 'other'] as const;
const IDS = [0, 0x20_0007, 0x51, 0x60_0001];
const ATOMS = ['PRIMARY', 'CLIPBOARD', 'WM_NAME', '_MINE'];
/** Their numbers at this server, and one that has none of these names. */
const NUMBERS = [1, 300, 39, 301, 77];
const NAMES = new Set(['CreateWindow', 'ChangeWindowAttributes', 'ConfigureWindow', 'ChangeProperty', 'GetProperty', 'CopyArea', 'GetImage', 'GrabButton', 'ConvertSelection', 'RENDER.CreatePicture', 'XFIXES.SelectSelectionInput', 'SHAPE.Mask']);
/** What the server gives this side, and the opcodes of extensions. */
const OWN_IDS = [0x20_0000, 0x1f_ffff] as const;
const MAJORS = new Map([['BIG-REQUESTS', 133], ['RENDER', 140], ['XFIXES', 141], ['SHAPE', 142]]);
const NO_OPERATION = 127;
/** Bytes of a request: room for all fields and 32 values. */
const REQUEST_BYTES = 300;
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

function classOf(id: number): (typeof CLASSES)[number] {
  if (id < OWN_IDS[0]) return id <= 1 ? 'none' : 'root';
  return id <= OWN_IDS[0] + OWN_IDS[1] ? 'own' : 'other';
}

function says(condition: Condition, value: number | undefined): boolean {
  if (value === undefined) return false;
  if (isBits(condition)) return (value & condition.bits) !== 0;
  if (isAbove(condition)) return value > condition.above;
  if (isAtoms(condition)) return condition.atom.some((name) => NUMBERS[ATOMS.indexOf(name)] === value);
  const list = (Array.isArray(condition) ? condition : [condition]) as readonly (string | number)[];
  return list.some((one) => (typeof one === 'number' ? one === (value & 0x7f) : classOf(value) === one));
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

/** A request's bytes, with what was asked for or what is left of it. */
function encoded(one: Sample, wire: Wire, header: number, byName: ByName = one.fields): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  const { extension, opcode } = one.request;
  bytes.set(extension === undefined ? [opcode] : [MAJORS.get(extension) ?? 0, opcode]);
  if (header === 4) wire.write(bytes, 2, 2, REQUEST_BYTES / 4);
  else wire.write(bytes, 4, 4, REQUEST_BYTES / 4);
  for (const [name, { at, width }] of plain(one.request)) wire.write(bytes, at === 'detail' ? 1 : header + Number(at), width, byName.get(name) ?? 0);
  writeList(bytes, one, wire, header, byName);
  return bytes;
}

function writeList(bytes: Buffer, { request, fields, values }: Sample, wire: Wire, header: number, byName: ByName): void {
  const list = listed(request);
  const [, { at = 0, value: { maskWidth = 4 } = {} } = {}] = list[0] ?? [];
  const mask = list.length === 0 ? 0 : (fields.get('value_mask') ?? 0);
  const there = values.map((value, bit) => ({ value, bit })).filter(({ bit }) => bit < 8 * maskWidth && (mask >>> bit) & 1);
  for (const [place, { value, bit }] of there.entries()) {
    const [name = ''] = list.find(([, field]) => field.value.bit === bit) ?? [];
    wire.write(bytes, header + Number(at) + 4 * place, 4, byName.get(name) ?? value);
  }
}

/** A client, a bridge and a server. */
class Line implements AsyncDisposable {
  #sequence = 0;

  private constructor(
    private readonly wire: Wire,
    private readonly server: ScriptedServer,
    private readonly bridge: NativeBridge,
    private readonly socket: Socket,
    private readonly incoming: Incoming,
    private readonly folder: TemporaryFolder,
  ) {}

  /** Connects a client that knows all extensions, with BIG-REQUESTS if it is to use its form. */
  static async open(wire: Wire, header: number): Promise<Line> {
    const folder = new TemporaryFolder();
    const server = await ScriptedServer.listen(folder.file('X'), { extensions: MAJORS, atoms: new Map(ATOMS.map((name, at) => [name, NUMBERS[at] ?? 0])), ids: OWN_IDS });
    const bridge = (await startBridge({ socket: folder.file('bridge'), hostDisplay: server.path, channel: 'socket', runtimeDir: folder.path }))._unsafeUnwrap() as NativeBridge;
    const socket = connect(bridge.socketPath);
    await once(socket, 'connect');
    const line = new Line(wire, server, bridge, socket, new Incoming(socket), folder);
    await line.#begin(header === 8);
    return line;
  }

  async #begin(bigRequests: boolean): Promise<void> {
    const hello = Buffer.alloc(12);
    hello[0] = this.wire.bigEndian ? 0x42 : 0x6c;
    this.wire.write(hello, 2, 2, 11);
    this.socket.write(hello);
    const head = (await this.incoming.take(8)) ?? Buffer.alloc(8);
    assert.equal(head[0], 1);
    await this.incoming.take(4 * this.wire.read(head, 6, 2));
    const queries = [...MAJORS.keys()].map((name) => this.wire.queryExtension(name));
    await this.#converse(queries, queries.length);
    if (bigRequests) await this.#converse([this.wire.request(MAJORS.get('BIG-REQUESTS') ?? 0, 0, Buffer.alloc(0))], 1);
  }

  /** Sends requests, and waits until the server has done all of them. @returns the errors by the place of their request */
  async #converse(requests: readonly Buffer[], replies = 0): Promise<Map<number, Buffer>> {
    const first = this.#sequence + 1;
    this.socket.write(Buffer.concat([...requests, this.wire.getInputFocus()]));
    this.#sequence += requests.length + 1;
    const errors = new Map<number, Buffer>();
    for (let left = replies + 1; left > 0; ) {
      const message = await this.incoming.take(32);
      assert.ok(message, 'the bridge has closed the connection');
      const place = (this.wire.read(message, 2, 2) - first) & 0xffff;
      // Rules for all requests may refuse the last one, too.
      if (message[0] === 1 || place === requests.length) left--;
      else errors.set(place, message);
    }
    return errors;
  }

  /** What becomes of requests under a policy: what is done to each, and its bytes as the server gets it. */
  async under(table: PolicyTable, requests: readonly Buffer[]): Promise<{ outcome: Outcome; bytes: Buffer }[]> {
    const live = { hostXauthority: undefined, spin: undefined, clientsMax: undefined, hostTimeout: 60 };
    assert.ok((await this.bridge.apply(live, table)).isOk());
    this.server.requests.length = 0;
    const errors = await this.#converse(requests);
    const seen = this.server.requests.slice(0, requests.length);
    assert.equal(seen.length, requests.length);
    return seen.map((bytes, at) => ({ outcome: outcomeOf(bytes, requests[at], errors.get(at)), bytes }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.bridge.close();
    await this.server[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

function outcomeOf(bytes: Buffer, request: Buffer | undefined, error: Buffer | undefined): Outcome {
  if (bytes[0] === NO_OPERATION) return ['ignore', 0];
  if (bytes[0] !== UNASSIGNED) return ['pass', 0];
  assert.equal(error?.[10], request?.[0], 'the error is about the request');
  return ['deny', error?.[1] ?? 0];
}

describe('a policy', () => {
  for (const [bigEndian, header] of [[false, 4], [true, 4], [false, 8], [true, 8]] as const) {
    it(`does what its rules say to ${bigEndian ? 'big' : 'little'}-endian requests${header === 8 ? ' in the form of BIG-REQUESTS' : ''}`, async function () {
      this.timeout(120_000);
      const wire = new Wire(bigEndian);
      await using line = await Line.open(wire, header);
      let [compared, decided] = [0, 0];
      await fc.assert(
        fc.asyncProperty(policy, async ({ rules, samples }) => {
          const compiled = checkPolicy({ base: 'open', processes: 'keep', rules }).andThen(compilePolicy);
          fc.pre(compiled.isOk());
          const done = await line.under(compiled._unsafeUnwrap(), samples.map((one) => encoded(one, wire, header)));
          for (const [at, one] of samples.entries()) {
            const { outcome, values } = interpreted(rules, one);
            assert.deepEqual(done[at]?.outcome, outcome);
            if (outcome[0] === 'pass') assert.deepEqual(done[at]?.bytes, encoded(one, wire, header, values));
            compared++;
            if (outcome[0] !== 'pass') decided++;
          }
        }),
        { numRuns: 120 },
      );
      // The samples would be worth nothing if no rule ever met its request.
      assert.ok(compared >= 300 && decided >= compared / 10, `${decided} of ${compared}`);
    });
  }
});
