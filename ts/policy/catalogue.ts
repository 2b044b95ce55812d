// What rules may speak of: every request with its fields.

import { CORE_REQUESTS } from './core-requests.js';
import { EXTENSION_REQUESTS } from './extension-requests.js';

/** Where a field is, and what it is. Offsets count from behind the header; `detail` is the byte beside the opcode. */
export type Field =
  | { readonly kind: 'id' | 'new' | 'atom' | 'number'; readonly at: number | 'detail'; readonly width: 1 | 2 | 4 }
  | { readonly kind: 'id' | 'number'; readonly at: number; readonly width: 4; readonly value: { readonly mask: number; readonly maskWidth: 2 | 4; readonly bit: number } }
  | { readonly kind: 'xi2'; readonly at: number }
  | { readonly kind: 'requested'; readonly at: number; readonly property?: number };

/** One request. */
export interface Request {
  /** `undefined` for the core protocol. */
  readonly extension: string | undefined;
  readonly name: string;
  readonly opcode: number;
  readonly replies: boolean;
  readonly fields: ReadonlyMap<string, Field>;
}

/** Extensions without rules of their own: they can only be hidden or shown. */
const OTHER_EXTENSIONS = [
  'ADOBE-DPS-EXTENSION', 'Apple-WM', 'ATIFGLEXTENSION', 'DEC-XTRAP', 'DRI2', 'Extended-Visual-Information', 'LBX', 'MIT-SUNDRY-NONSTANDARD',
  'Multi-Buffering', 'NV-CONTROL', 'NV-GLX', 'RECORD', 'SECURITY', 'SELinux', 'TOG-CUP', 'VNC-EXTENSION', 'WINDOWS-WM', 'X-Resource',
  'XC-APPGROUP', 'XEVIE', 'XFree86-Bigfont', 'XFree86-DGA', 'XFree86-DRI', 'XFree86-Misc', 'XFree86-VidModeExtension', 'XpExtension',
  'XTEST', 'XVideo-MotionCompensation', 'XWAYLAND',
];

/** Extensions that the bridge and its channels, or every program, rest on: they can't be hidden. */
export const NEEDED_EXTENSIONS: ReadonlySet<string> = new Set(['BIG-REQUESTS', 'Generic Event Extension', 'XC-MISC']);

let requests: readonly Request[] | undefined;

/** Every request. Parsed when first asked for: bridges without a policy don't need it. */
export function allRequests(): readonly Request[] {
  requests ??= [...parse(undefined, CORE_REQUESTS), ...EXTENSION_REQUESTS.split('\n== ').slice(1).flatMap(parseExtension)];
  return requests;
}

/** The extensions that rules may name, in the order in which tables number them. */
export function extensionNames(): readonly string[] {
  const named = allRequests().flatMap(({ extension }) => extension ?? []);
  return [...new Set([...named, ...OTHER_EXTENSIONS])];
}

function parseExtension(text: string): Request[] {
  const [name = '', ...lines] = text.split('\n');
  return parse(name, lines.join('\n'));
}

function parse(extension: string | undefined, text: string): Request[] {
  return text.split('\n').filter((line) => line !== '').map((line) => {
    const [opcode, name = '', ...fields] = line.split(' ');
    const bare = name.replace('!', '');
    return { extension, name: bare, opcode: Number(opcode), replies: bare !== name, fields: new Map(fields.map(parseField)) };
  });
}

function parseField(text: string): [name: string, field: Field] {
  const [name = '', shape = ''] = text.split('=');
  const [kind = '', place = ''] = shape.split('@');
  const [first = 0, second = 0, third = 0] = (place.match(/\d+/g) ?? []).map(Number);
  return [name, fieldOf(kind, place, [first, second, third])];
}

function fieldOf(kind: string, place: string, [first, second, third]: [number, number, number]): Field {
  switch (kind) {
    case 'values':
    case 'values16': {
      const value = { mask: first, maskWidth: kind === 'values' ? 4 : 2, bit: third } as const;
      return { kind: place.endsWith(':u32') ? 'number' : 'id', at: second, width: 4, value };
    }
    case 'requested':
      return { kind, at: first, ...(place.includes('/') && { property: second }) };
    case 'xi2':
      return { kind, at: first };
    case 'id':
    case 'new':
    case 'atom':
      return { kind, at: first, width: 4 };
    default:
      return { kind: 'number', at: place === 'detail' ? 'detail' : first, width: kind === 'u8' ? 1 : kind === 'u16' ? 2 : 4 };
  }
}
