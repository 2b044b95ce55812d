// The smallest X11 client: it sets up a connection and asks for the list of extensions (X11 protocol, sections 8 and 9).

import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { err, ok, type Result } from 'neverthrow';

/** What a server says of itself. */
export interface ServerAnswer {
  readonly vendor: string;
  readonly release: number;
  readonly extensions: readonly string[];
}

const COOKIE_NAME = 'MIT-MAGIC-COOKIE-1';
const LIST_EXTENSIONS = 99;
/** A set-up and a list of extensions have a few KiB; whatever sends more is no X server. */
const ANSWER_BYTES_MAX = 1 << 20;

/**
 * Asks the server behind a display's socket.
 * @param xauthority the file with the cookie
 * @returns its answer, or one sentence that says why there is none
 */
export async function askServer(socketPath: string, xauthority: string, seconds: number): Promise<Result<ServerAnswer, string>> {
  const socket = createConnection(socketPath);
  socket.setTimeout(seconds * 1000, () => socket.destroy(new Error(`there was no answer within ${seconds} s`)));
  try {
    return await converse(socket, cookieIn(readFileSync(xauthority)));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  } finally {
    socket.destroy();
  }
}

async function converse(socket: Socket, cookie: Buffer): Promise<Result<ServerAnswer, string>> {
  const reader = new Reader(socket);
  socket.write(setUpRequest(cookie));
  const head = await reader.take(8);
  const body = await reader.take(head.readUInt16LE(6) * 4);
  if (head[0] !== 1) return err(body.toString('latin1', 0, head[1] ?? 0).replaceAll(/[\0\s]+/g, ' ').trim());
  socket.write(Buffer.from([LIST_EXTENSIONS, 0, 1, 0]));
  const reply = await reader.take(32);
  const names = await reader.take(reply.readUInt32LE(4) * 4);
  return ok({ vendor: body.toString('latin1', 32, 32 + body.readUInt16LE(16)), release: body.readUInt32LE(0), extensions: namesIn(names, reply[1] ?? 0) });
}

function setUpRequest(cookie: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.write('l', 'latin1');
  head.writeUInt16LE(11, 2);
  head.writeUInt16LE(COOKIE_NAME.length, 6);
  head.writeUInt16LE(cookie.length, 8);
  return Buffer.concat([head, padded(Buffer.from(COOKIE_NAME)), padded(cookie)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}

/** The data of the first entry of an Xauthority file: family, then four strings of which it is the last. */
function cookieIn(file: Buffer): Buffer {
  let at = 2;
  let field: Buffer = Buffer.alloc(0);
  for (let count = 0; count < 4; count++) {
    const length = file.readUInt16BE(at);
    field = file.subarray(at + 2, at + 2 + length);
    at += 2 + length;
  }
  return field;
}

function namesIn(bytes: Buffer, count: number): string[] {
  const names: string[] = [];
  for (let at = 0; names.length < count && at < bytes.length; at += 1 + (bytes[at] ?? 0)) {
    names.push(bytes.toString('latin1', at + 1, at + 1 + (bytes[at] ?? 0)));
  }
  return names.toSorted();
}

/** Bytes of a socket in the pieces that the protocol has them in. */
class Reader {
  #pending: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  #end: Error | undefined;

  constructor(socket: Socket) {
    socket.on('data', (bytes) => {
      this.#pending = Buffer.concat([this.#pending, bytes]);
      this.#wake();
    });
    socket.once('error', (error) => this.#stop(error));
    socket.once('close', () => this.#stop(new Error('the connection was closed without an answer')));
  }

  async take(length: number): Promise<Buffer> {
    if (length > ANSWER_BYTES_MAX) throw new Error('the answer is none of an X server');
    if (this.#pending.length < length) {
      if (this.#end) throw this.#end;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      return this.take(length);
    }
    const taken = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return taken;
  }

  #stop(error: Error): void {
    this.#end ??= error;
    this.#wake();
  }
}
