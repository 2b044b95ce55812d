// Numbers as people read them.

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Bytes with three digits or so: `999 B`, `1.2 kB`, `34 MB`. */
export function bytes(length: number): string {
  let [value, at] = [length, 0];
  while (value >= 999.5 && at < SIZES.length - 1) [value, at] = [value / 1000, at + 1];
  return `${at > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${SIZES[at]}`;
}

/** A time in milliseconds: `250 ms`, `4 s`, `12 min`, `3 h 20 min`, `5 d 2 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time in microseconds: `64 µs`, `2 ms`, `1 s`. */
export function microseconds(time: number): string {
  return time < 1000 ? `${time} µs` : duration(time / 1000);
}

/** Thousands apart: `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** What controls a terminal, or the order in which it shows text: controls, formats such as bidirectional overrides, separators of lines. */
const CONTROLS = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text of others that may go to a terminal: nothing in it can move the cursor, change a colour or turn the order of words. */
export function printable(text: string): string {
  return text.replaceAll(CONTROLS, '?');
}

/** A value as one line of JSON, which may go to a terminal too. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replaceAll(CONTROLS, (character) => character.split('').map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''));
}
