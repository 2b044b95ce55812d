// What the command writes, and where.

import { closeSync, openSync } from 'node:fs';
import { Result } from 'neverthrow';
import { exitCodeOf, type BridgeError } from '../errors.js';
import { printable } from './units.js';

/** How a sentence about a fault of our own ends. */
export const REPORT_IT = 'this is a fault of x11bridge, please report it with what X11BRIDGE_DEBUG=1 shows';

/** Writes a line to stdout. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A text as a shell takes it for one word. */
export function shellQuoted(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Writes a line to stderr under the command's name. It may quote clients, guests and servers: no character of it controls a terminal. */
export function complain(line: string): void {
  process.stderr.write(`x11bridge: ${printable(line)}\n`);
}

/**
 * Tells a person about a failure.
 * @returns the exit code that goes with it
 */
export function complainAbout(error: BridgeError): 1 | 2 {
  complain(error.kind === 'internal' ? `${error.message}; ${REPORT_IT}` : error.message);
  return exitCodeOf(error.kind);
}

/** Errors of a stream that nobody reads on: of a pipe, of a terminal that has hung up, and of what comes behind the first one. */
const UNREAD = new Set(['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED']);

/** Why stdout takes no more, where somebody would read it. */
let unwritable: string | undefined;

function noteUnwritable(error: NodeJS.ErrnoException | null | undefined): void {
  if (error && !UNREAD.has(error.code ?? '')) unwritable ??= error.code ?? error.message;
}

/** Who reads our output may go away, and a disk may fill up; the clients of the bridge must not suffer from either. */
export function ignoreClosedStreams(): void {
  process.stdout.on('error', noteUnwritable);
  process.stderr.on('error', () => undefined);
}

/** Waits until stdout has taken all that was written, or no more; resolves with the error code then, if somebody would read it. */
export function whyUnwritten(): Promise<string | undefined> {
  return new Promise((resolve) => {
    process.stdout.write('', (error) => {
      noteUnwritable(error);
      resolve(unwritable);
    });
  });
}

/**
 * Lets go of a terminal that has hung up, when the process exits: Node resets it then, and aborts when that fails.
 */
export function abandonTerminalAtExit(): void {
  process.on('exit', () => {
    for (const descriptor of [0, 1, 2]) Result.fromThrowable(closeSync)(descriptor);
  });
}

/** Whether this process has a terminal that can still be reached; it may be redirected all the same. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
