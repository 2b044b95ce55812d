// From records to what they mean: names, fields, and which reply belongs to which request.

import { namesOf } from './protocol.js';
import type { TraceRecord } from './record.js';
import { secretsOfEvent, secretsOfReply, secretsOfRequest, type Span } from './secrets.js';
import { fieldsOfEvent, fieldsOfReply, fieldsOfRequest, type ShownField } from './shapes.js';

/** An extension of the server, with the numbers that it has there. */
export interface TracedExtension {
  readonly name: string;
  readonly major: number;
  readonly firstEvent: number;
  readonly firstError: number;
}

/** A record with its meaning. */
export interface Decoded {
  /** Microseconds since 1970. */
  readonly micros: number;
  readonly client: number;
  readonly program: string;
  readonly kind: 'request' | 'reply' | 'event' | 'error' | 'set-up' | 'begins' | 'ends';
  /** The request's, the event's or the error's; the reason where a client ends. */
  readonly name: string;
  /** The number of the request, since the client's set-up. */
  readonly sequence: number;
  /** Bytes of the whole message. */
  readonly length: number;
  /** As texts: numbers of resources in hexadecimal, atoms by their names where these are known. */
  readonly fields: Readonly<Record<string, string>>;
  /** The request that an error is about. */
  readonly about?: string;
  /** From the request to its first reply. */
  readonly tookMicros?: number;
  /** Whether the bridge made another request of it. */
  readonly changed: boolean;
  /** Whether something of it was blanked. */
  readonly blanked: boolean;
}

/** A request that may be answered. */
interface Asked {
  readonly name: string | undefined;
  readonly micros: number;
  /** The atom's name in `InternAtom`. */
  readonly text: string;
}

interface ClientState {
  readonly program: string;
  readonly asked: Map<number, Asked>;
}

const ASKED_MAX = 65_536;
const GENERIC_EVENT = 35;
const EXTENSION_EVENTS = 64;
const EXTENSION_CODES = 128;
const XKEYBOARD = 'XKEYBOARD';

export class Decoder {
  readonly #clients = new Map<number, ClientState>();
  readonly #atoms = new Map(namesOf().atoms);

  /** @param withSecrets whether keys and the contents of properties stay; else they are zero, in the records' bytes as well */
  constructor(
    private readonly extensions: readonly TracedExtension[],
    private readonly withSecrets: boolean,
  ) {}

  /** Decodes the next record. */
  decode(record: TraceRecord): Decoded {
    const state = this.#stateOf(record);
    switch (record.kind) {
      case 'request':
        return this.#request(record, state);
      case 'message':
        return this.#message(record, state);
      case 'ends':
        this.#clients.delete(record.client);
        return this.#plain(record, state, 'ends', record.bytes.toString());
      default:
        return this.#plain(record, state, record.kind, record.kind === 'begins' ? state.program : '');
    }
  }

  #stateOf({ client, kind, bytes }: TraceRecord): ClientState {
    let state = this.#clients.get(client);
    if (state === undefined || kind === 'begins') {
      state = { program: kind === 'begins' ? bytes.toString() : '', asked: new Map() };
      this.#clients.set(client, state);
    }
    return state;
  }

  #request(record: TraceRecord, state: ClientState): Decoded {
    const { bytes, sequence, micros } = record;
    const [major = 0, minor = 0] = bytes;
    const name = this.#requestName(major, minor);
    const header = read(record, 2, 2) === 0 ? 8 : 4;
    const secret = this.#blank(bytes, secretsOfRequest(name, bytes, header));
    const fields = this.#fields(record, fieldsOfRequest(name ?? '').map((field) => ({ ...field, at: field.at < 4 ? field.at : field.at + header - 4 })), secret);
    const text = name === 'InternAtom' || name === 'QueryExtension' ? bytes.toString('latin1', header + 4, header + 4 + (read(record, header, 2) ?? 0)) : '';
    state.asked.set(sequence, { name, micros, text });
    if (state.asked.size > ASKED_MAX) state.asked.delete(state.asked.keys().next().value ?? 0);
    return { ...this.#plain(record, state, 'request', name ?? `opcode ${major}.${minor}`), fields: { ...fields, ...(text !== '' && { name: text }) }, blanked: secret !== undefined };
  }

  #message(record: TraceRecord, state: ClientState): Decoded {
    const first = record.bytes[0] ?? 0;
    if (first > 1) return this.#event(record, state, first);
    const sequence = answered(record);
    const asked = state.asked.get(sequence);
    // Servers answer in order: what was asked before has no answer.
    for (const earlier of state.asked.keys()) {
      if (earlier >= sequence) break;
      state.asked.delete(earlier);
    }
    return first === 0 ? this.#error(record, state, sequence) : this.#reply({ ...record, sequence }, state, asked);
  }

  #reply(record: TraceRecord, state: ClientState, asked: Asked | undefined): Decoded {
    const name = asked?.name;
    const secret = this.#blank(record.bytes, secretsOfReply(name));
    const atom = read(record, 8, 4);
    if (name === 'InternAtom' && asked !== undefined && atom !== undefined && atom !== 0) this.#atoms.set(atom, asked.text);
    const fields = this.#fields(record, fieldsOfReply(name ?? ''), secret);
    const took = asked && { tookMicros: Math.max(0, record.micros - asked.micros) };
    return { ...this.#plain(record, state, 'reply', name ?? 'a request before the trace'), ...took, fields, blanked: secret !== undefined };
  }

  #error(record: TraceRecord, state: ClientState, sequence: number): Decoded {
    const code = record.bytes[1] ?? 0;
    const about = this.#requestName(record.bytes[10] ?? 0, read(record, 8, 2) ?? 0);
    const value = `0x${(read(record, 4, 4) ?? 0).toString(16)}`;
    return { ...this.#plain({ ...record, sequence }, state, 'error', this.#errorName(code)), fields: { value }, about: about ?? 'an unknown request' };
  }

  #event(record: TraceRecord, state: ClientState, first: number): Decoded {
    const name = this.#eventName(record, first & 0x7f);
    const secret = this.#blank(record.bytes, secretsOfEvent(name));
    const fields = this.#fields(record, fieldsOfEvent(name ?? ''), secret);
    const sequence = name === 'KeymapNotify' ? record.sequence : answered(record);
    const sent = (first & 0x80) === 0 ? {} : { sent: 'by a client' };
    return { ...this.#plain({ ...record, sequence }, state, 'event', name ?? `event ${first & 0x7f}`), fields: { ...fields, ...sent }, blanked: secret !== undefined };
  }

  #plain({ micros, client, sequence, length, changed }: TraceRecord, { program }: ClientState, kind: Decoded['kind'], name: string): Decoded {
    return { micros, client, program, kind, name, sequence, length, fields: {}, changed, blanked: false };
  }

  #requestName(major: number, minor: number): string | undefined {
    if (major < EXTENSION_CODES) return namesOf().requests.get(major);
    const extension = this.extensions.find((known) => known.major === major);
    const name = extension && namesOf(extension.name).requests.get(minor);
    return name && `${extension.name}.${name}`;
  }

  #eventName(record: TraceRecord, code: number): string | undefined {
    if (code === GENERIC_EVENT) {
      const extension = this.extensions.find((known) => known.major === record.bytes[1]);
      const name = extension && namesOf(extension.name).generic.get(read(record, 8, 2) ?? 0);
      return name && `${extension.name}.${name}`;
    }
    if (code < EXTENSION_EVENTS) return namesOf().events.get(code);
    const extension = below(this.extensions, code, ({ firstEvent }) => firstEvent);
    if (extension === undefined) return undefined;
    const number = extension.name === XKEYBOARD ? (record.bytes[1] ?? 0) : code - extension.firstEvent;
    const name = namesOf(extension.name).events.get(number);
    return name && `${extension.name}.${name}`;
  }

  #errorName(code: number): string {
    const extension = code < EXTENSION_CODES ? undefined : below(this.extensions, code, ({ firstError }) => firstError);
    const name = extension === undefined ? namesOf().errors.get(code) : namesOf(extension.name).errors.get(code - extension.firstError);
    return name === undefined ? `error ${code}` : `${extension === undefined ? '' : `${extension.name}.`}${name}`;
  }

  /** @returns what was blanked of these bytes */
  #blank(bytes: Buffer, span: Span | undefined): Span | undefined {
    if (this.withSecrets || span === undefined || span[0] >= bytes.length) return undefined;
    bytes.fill(0, span[0], Math.min(span[1], bytes.length));
    return span;
  }

  #fields(record: TraceRecord, fields: readonly ShownField[], secret: Span | undefined): Record<string, string> {
    const shown = fields.flatMap(({ name, at, width, kind }): [string, string][] => {
      const value = read(record, at, width);
      if (value === undefined) return [];
      if (secret !== undefined && at < secret[1] && at + width > secret[0]) return [[name, 'blanked']];
      return [[name, kind === 'id' ? `0x${value.toString(16)}` : kind === 'atom' ? (this.#atoms.get(value) ?? String(value)) : String(value)]];
    });
    return Object.fromEntries(shown);
  }
}

/** The request that the server had reached: the last one so far whose number has these 16 bits. */
function answered(record: TraceRecord): number {
  const wire = read(record, 2, 2) ?? 0;
  return record.sequence - ((record.sequence - wire) & 0xffff);
}

/** The one with the highest code that is not above this one. */
function below(extensions: readonly TracedExtension[], code: number, codeOf: (extension: TracedExtension) => number): TracedExtension | undefined {
  return extensions.filter((known) => codeOf(known) > 0 && codeOf(known) <= code).toSorted((one, other) => codeOf(other) - codeOf(one))[0];
}

/** A number of the client's byte order; undefined where it was not captured. */
function read({ bytes, bigEndian }: Pick<TraceRecord, 'bytes' | 'bigEndian'>, at: number, width: 1 | 2 | 4): number | undefined {
  if (at + width > bytes.length) return undefined;
  return bigEndian ? bytes.readUIntBE(at, width) : bytes.readUIntLE(at, width);
}
