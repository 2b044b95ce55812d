// What a trace shows of a message, in a line.

import type { Decoded } from '../trace/decoder.js';
import { bytes, microseconds, printable } from './units.js';

/** Which way a message went. */
const ARROWS: Readonly<Record<Decoded['kind'], string>> = { request: '->', reply: '<-', event: '<-', error: '<-', 'set-up': '<-', begins: '--', ends: '--' };

/** Time, client, direction, number of the request, what it is, and its fields. */
export function traceLine(decoded: Decoded): string {
  const { micros, client, program, kind, sequence, fields, changed, blanked } = decoded;
  const marks = [changed ? '(refused by the bridge)' : '', blanked ? '(blanked)' : ''];
  const words = [timeOfDay(micros), String(client).padStart(3), program || '-', ARROWS[kind], `#${sequence}`, said(decoded), ...Object.entries(fields).map(([name, value]) => `${name}=${value}`), ...marks];
  return printable(words.filter(Boolean).join(' '));
}

function said({ kind, name, length, about, tookMicros }: Decoded): string {
  switch (kind) {
    case 'request':
      return `${name} ${bytes(length)}`;
    case 'reply':
      return `reply to ${name} ${bytes(length)}${tookMicros === undefined ? '' : ` after ${microseconds(tookMicros)}`}`;
    case 'event':
      return `event ${name}`;
    case 'error':
      return `error ${name} for ${about}`;
    case 'set-up':
      return `set-up reply ${bytes(length)}`;
    case 'begins':
      return 'is traced from here on';
    case 'ends':
      return `is gone: ${name}`;
  }
}

/** Of this machine's zone, with microseconds. */
function timeOfDay(micros: number): string {
  const date = new Date(micros / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(micros % 1e6).padStart(6, '0')}`;
}
