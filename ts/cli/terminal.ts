// What the command writes, and where.

import { adviceFor, exitCodeOf, type BridgeError } from '../errors.js';

/** Writes a line to stdout. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Writes a line to stderr under the command's name. */
export function complain(line: string): void {
  process.stderr.write(`x11bridge: ${line}\n`);
}

/**
 * Tells a person about a failure.
 * @returns the exit code that goes with it
 */
export function complainAbout(error: BridgeError): 1 | 2 {
  const advice = adviceFor(error.kind);
  complain(advice === undefined ? error.message : `${error.message}; ${advice}`);
  return exitCodeOf(error.kind);
}

/** Who reads our output may go away, and a disk may fill up; the clients of the bridge must not suffer from either. */
export function ignoreClosedStreams(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}
