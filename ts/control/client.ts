// Asks a running bridge over its control socket.

import { readdirSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { err, ok, Result } from 'neverthrow';
import { failure, isErrorKind, type BridgeError } from '../errors.js';
import { ANSWER_BYTES_MAX, type ControlAnswer, type ControlAnswers, type ControlRequest, type TracePart } from './protocol.js';

/** A bridge answers within milliseconds; one that is stopped doesn't. */
const ANSWER_MS_MAX = 10_000;

/** The path of the control socket of a display, or of a bridge that listens on a path of its own. */
export function controlPath(runtimeDir: string, display: string): string {
  if (display.startsWith('/')) return `${display}.control`;
  return join(runtimeDir, `control-${display.replace(/^:/, '')}`);
}

/** The displays with a control socket in a runtime directory, those of bridges that have died included. */
export function controlledDisplays(runtimeDir: string): string[] {
  const names = Result.fromThrowable(() => readdirSync(runtimeDir))().unwrapOr([]);
  const numbers = names.flatMap((name) => /^control-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return numbers.toSorted((one, other) => one - other).map((number) => `:${number}`);
}

/** A connection to a running bridge. */
export class ControlClient implements Disposable {
  readonly #lines: AsyncIterator<string>;

  private constructor(
    private readonly socket: Socket,
    reader: Interface,
    readonly display: string,
  ) {
    this.#lines = untilBroken(reader[Symbol.asyncIterator]());
    // Who waits for a line gets none any more.
    socket.once('close', () => reader.close());
  }

  static connect(runtimeDir: string, display: string): Promise<Result<ControlClient, BridgeError>> {
    return new Promise((resolve) => {
      const socket = createConnection(controlPath(runtimeDir, display));
      socket.once('error', (error) => resolve(err(notRunning(display, error))));
      socket.once('connect', () => {
        socket.removeAllListeners('error').on('error', () => undefined);
        socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
        resolve(ok(new ControlClient(socket, createInterface({ input: limited(socket) }), display)));
      });
    });
  }

  async ask<Request extends ControlRequest>(request: Request): Promise<Result<ControlAnswers[Request['do']], BridgeError>> {
    this.socket.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) return err(failure('not-running', `the bridge of display ${this.display} gave no answer: see whether its process still runs, or is stopped`));
    const answer = JSON.parse(value) as ControlAnswer<Request['do']>;
    if ('ok' in answer) return ok(answer.ok);
    const { kind, message } = answer.error;
    return err(failure(isErrorKind(kind) ? kind : 'internal', message));
  }

  /** Follows what comes behind an answer, for as long as it comes. */
  async *follow(): AsyncGenerator<TracePart, void> {
    // Nothing may happen for hours.
    this.socket.setTimeout(0);
    for await (const line of { [Symbol.asyncIterator]: () => this.#lines }) yield JSON.parse(line) as TracePart;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A connection that breaks gives no more lines: who asked says so in its own words. */
async function* untilBroken(lines: AsyncIterable<string>): AsyncGenerator<string, void> {
  try {
    yield* lines;
  } catch {
    // Nobody can do anything else about it.
  }
}

/** Gives up on an answer that never ends. */
function limited(socket: Socket): Socket {
  let length = 0;
  socket.on('data', (bytes) => {
    length = bytes.includes(0x0a) ? 0 : length + bytes.length;
    if (length > ANSWER_BYTES_MAX) socket.destroy();
  });
  return socket;
}

function notRunning(display: string, error: Error): BridgeError {
  const code = 'code' in error ? String(error.code) : error.message;
  if (code === 'EACCES') return failure('permission-denied', `the bridge of display ${display} belongs to another user: ask it as that user`);
  return failure('not-running', `no bridge of yours serves display ${display} (${code}): "x11bridge status" without a display finds those that do`);
}
