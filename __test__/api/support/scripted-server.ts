// An X server of a few requests, for what no real server would answer to: it notes every request as it comes.

import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** An opcode that no server has: what a policy refuses becomes one. */
export const UNASSIGNED = 126;
const QUERY_EXTENSION = 98;
const INTERN_ATOM = 16;
const GET_INPUT_FOCUS = 43;
const BIG_REQUESTS_MAJOR = 133;

/** Bytes of one byte order. */
export class Wire {
  constructor(readonly bigEndian: boolean) {}

  read(bytes: Buffer, at: number, width: number): number {
    return this.bigEndian ? bytes.readUIntBE(at, width) : bytes.readUIntLE(at, width);
  }

  write(bytes: Buffer, at: number, width: number, value: number): void {
    if (this.bigEndian) bytes.writeUIntBE(value, at, width);
    else bytes.writeUIntLE(value, at, width);
  }

  /** A core request whose header is filled in. */
  request(opcode: number, detail: number, body: Buffer): Buffer {
    const bytes = Buffer.alloc(4 + Math.ceil(body.length / 4) * 4);
    bytes[0] = opcode;
    bytes[1] = detail;
    this.write(bytes, 2, 2, bytes.length / 4);
    body.copy(bytes, 4);
    return bytes;
  }

  /** `QueryExtension` and `InternAtom` begin with the length of a name. */
  named(opcode: number, name: string): Buffer {
    const body = Buffer.alloc(4 + name.length);
    this.write(body, 0, 2, name.length);
    body.write(name, 4, 'latin1');
    return this.request(opcode, 0, body);
  }

  queryExtension(name: string): Buffer {
    return this.named(QUERY_EXTENSION, name);
  }

  getInputFocus(): Buffer {
    return this.request(GET_INPUT_FOCUS, 0, Buffer.alloc(0));
  }

  /** A reply, event or error of 32 bytes. */
  message(kind: number, second: number, sequence: number): Buffer {
    const bytes = Buffer.alloc(32);
    bytes[0] = kind;
    bytes[1] = second;
    this.write(bytes, 2, 2, sequence & 0xffff);
    return bytes;
  }
}

/** What the server says that there is. */
export interface Numbers {
  readonly extensions: ReadonlyMap<string, number>;
  readonly atoms: ReadonlyMap<string, number>;
  /** The base of every client's ids, and the bits that it may choose. */
  readonly ids: readonly [base: number, mask: number];
}

export class ScriptedServer implements AsyncDisposable {
  /** Requests that have no meaning here, with those that were refused on the way, in order. */
  readonly requests: Buffer[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(
    readonly path: string,
    private readonly numbers: Numbers,
  ) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
      void this.#serve(new Incoming(socket), socket);
    });
  }

  static async listen(path: string, numbers: Numbers): Promise<ScriptedServer> {
    const server = new ScriptedServer(path, numbers);
    server.#server.listen(path);
    await once(server.#server, 'listening');
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    rmSync(this.path, { force: true });
  }

  async #serve(incoming: Incoming, socket: Socket): Promise<void> {
    const head = await incoming.take(12);
    if (head === undefined) return;
    const wire = new Wire(head[0] === 0x42);
    const padded = (at: number): number => Math.ceil(wire.read(head, at, 2) / 4) * 4;
    await incoming.take(padded(6) + padded(8));
    socket.write(setUpReply(wire, this.numbers.ids));
    for (let sequence = 1; ; sequence++) {
      const request = await nextRequest(incoming, wire);
      if (request === undefined) return;
      const answer = this.#answer(request, wire, sequence);
      if (answer !== undefined) socket.write(answer);
    }
  }

  #answer(request: Buffer, wire: Wire, sequence: number): Buffer | undefined {
    const reply = wire.message(1, 0, sequence);
    const name = (): string => request.toString('latin1', 8, 8 + wire.read(request, 4, 2));
    switch (request[0]) {
      case INTERN_ATOM:
        wire.write(reply, 8, 4, this.numbers.atoms.get(name()) ?? 999);
        return reply;
      case QUERY_EXTENSION: {
        const major = this.numbers.extensions.get(name());
        if (major !== undefined) reply.set([1, major, 64, 128], 8);
        return reply;
      }
      case GET_INPUT_FOCUS:
        return reply;
      case BIG_REQUESTS_MAJOR:
        wire.write(reply, 8, 4, 0x3f_ffff);
        return reply;
      default:
        this.requests.push(request);
        return request[0] === UNASSIGNED ? refusal(wire, sequence) : undefined;
    }
  }
}

/** A stream by pieces of the sizes that are asked for. */
export class Incoming {
  #held = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(socket: Socket) {
    this.#chunks = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** @returns undefined when the stream has ended before */
  async take(bytes: number): Promise<Buffer | undefined> {
    while (this.#held.length < bytes) {
      const next = await this.#chunks.next().catch(() => ({ done: true as const, value: undefined }));
      if (next.done) return undefined;
      this.#held = Buffer.concat([this.#held, next.value as Buffer]);
    }
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }
}

async function nextRequest(incoming: Incoming, wire: Wire): Promise<Buffer | undefined> {
  const head = await incoming.take(4);
  if (head === undefined) return undefined;
  const units = wire.read(head, 2, 2);
  if (units > 0) return joined(head, await incoming.take(4 * units - 4));
  const long = await incoming.take(4);
  return long && joined(Buffer.concat([head, long]), await incoming.take(4 * wire.read(long, 0, 4) - 8));
}

function joined(head: Buffer, rest: Buffer | undefined): Buffer | undefined {
  return rest && Buffer.concat([head, rest]);
}

/** One screen and one pixmap format would be more than anybody here reads. */
function setUpReply(wire: Wire, [base, mask]: Numbers['ids']): Buffer {
  const bytes = Buffer.alloc(40);
  bytes[0] = 1;
  for (const [at, width, value] of [[2, 2, 11], [6, 2, 8], [12, 4, base], [16, 4, mask], [26, 2, 0xffff]] as const) wire.write(bytes, at, width, value);
  return bytes;
}

function refusal(wire: Wire, sequence: number): Buffer {
  const error = wire.message(0, 1, sequence);
  error[10] = UNASSIGNED;
  return error;
}
