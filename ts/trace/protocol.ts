// The names of X11's requests, events, errors and atoms, looked up by number.

import { PROTOCOL_NAMES } from './names.js';

type Names = ReadonlyMap<number, string>;

/** The names of the core protocol, or of an extension. */
export interface ProtocolNames {
  readonly requests: Names;
  readonly events: Names;
  /** Events that have no code of their own (Generic Event Extension). */
  readonly generic: Names;
  readonly errors: Names;
  readonly atoms: Names;
}

const CORE = 'core';
const NONE: ProtocolNames = { requests: new Map(), events: new Map(), generic: new Map(), errors: new Map(), atoms: new Map() };
let parts: ReadonlyMap<string, ProtocolNames> | undefined;

/** The names of an extension's, or without one those of the core protocol. */
export function namesOf(extension?: string): ProtocolNames {
  return all().get(extension ?? CORE) ?? NONE;
}

/** The extensions that have names. */
export function namedExtensions(): string[] {
  return [...all().keys()].filter((name) => name !== CORE);
}

/** The name of a core request, or its opcode where it is one of an extension. */
export function requestName(opcode: number): string {
  return namesOf().requests.get(opcode) ?? `opcode ${opcode}`;
}

/** Parsed when first asked for. */
function all(): ReadonlyMap<string, ProtocolNames> {
  parts ??= new Map(PROTOCOL_NAMES.split('\n== ').slice(1).map(part));
  return parts;
}

function part(text: string): [name: string, names: ProtocolNames] {
  const [name = '', ...lines] = text.replaceAll('\n  ', ' ').trim().split('\n');
  const lists = lines.map((line): [kind: string, names: Names] => {
    const [kind = '', list = ''] = line.split(': ');
    return [kind, new Map([...list.matchAll(/(\d+) (\w+)/g)].map(([, number, word = '']) => [Number(number), word]))];
  });
  return [name, { ...NONE, ...Object.fromEntries(lists) }];
}
