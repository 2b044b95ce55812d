// The control socket of a running bridge: it answers its owner, and nobody else.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { err, ok, type Result, type ResultAsync } from 'neverthrow';
import type { Changes } from '../config/changes.js';
import { failure, type BridgeError } from '../errors.js';
import { onExit } from '../exit.js';
import { peerUser } from '../native/index.js';
import { REQUEST_BYTES_MAX, requestIn, type BridgeStatus, type ControlRequest, type TracePart, type TraceStart } from './protocol.js';

/** People look from a few terminals, and monitors from a few places; more is a fault of theirs. */
const CONNECTIONS_MAX = 32;

/** What fits into the address of a Unix socket. */
const PATH_BYTES_MAX = 107;

/** What the socket gives access to. */
export interface Controlled {
  readonly status: () => Promise<BridgeStatus>;
  readonly reload: () => ResultAsync<Changes, BridgeError>;
  readonly closeClient: (client: number) => boolean;
  /** Begins to tell every message. */
  readonly trace: (client: number | undefined, extensions: readonly string[]) => Promise<Result<TraceFeed, BridgeError>>;
}

/** What a trace tells, for as long as somebody wants to know. */
export interface TraceFeed {
  readonly start: TraceStart;
  /** Each as it comes; to be asked for once. */
  parts(): AsyncIterable<TracePart>;
  /** Ends it; whoever waits gets nothing more. */
  close(): void;
}

export class ControlServer {
  readonly #connections = new Set<Socket>();
  readonly #remove: () => void;

  private constructor(
    readonly path: string,
    private readonly server: Server,
    private readonly controlled: Controlled,
    private readonly ownerOf: (socket: Socket) => number | undefined,
  ) {
    this.#remove = () => rmSync(path, { force: true });
    onExit(this.#remove, true);
    server.maxConnections = CONNECTIONS_MAX;
    server.on('connection', (socket) => this.#accept(socket));
    // Whatever happens to it later, clients of the bridge must not suffer.
    server.on('error', () => undefined);
  }

  /**
   * Listens on a path in a directory that is the user's alone.
   * @param ownerOf the user at the other end of a connection
   */
  static listen(path: string, controlled: Controlled, ownerOf: (socket: Socket) => number | undefined = userOf): Promise<Result<ControlServer, BridgeError>> {
    const refused = (why: string): Result<never, BridgeError> => err(failure('os', `the control socket ${path} can't be made (${why}): "x11bridge status" and the like won't reach this bridge`));
    // Node cuts longer paths off without a word.
    if (Buffer.byteLength(path) > PATH_BYTES_MAX) return Promise.resolve(refused('its path is too long'));
    return new Promise((resolve) => {
      // What lies there is of a bridge that has died: the display's number is ours.
      rmSync(path, { force: true });
      const server = createServer({ pauseOnConnect: true });
      server.once('error', (error) => resolve(refused(codeOf(error))));
      server.listen(path, () => {
        chmodSync(path, 0o600);
        resolve(ok(new ControlServer(path, server, controlled, ownerOf)));
      });
    });
  }

  /** Closes it and every connection, and removes the socket. */
  close(): void {
    onExit(this.#remove, false);
    this.server.close();
    for (const socket of this.#connections) socket.destroy();
    this.#remove();
  }

  #accept(socket: Socket): void {
    // Of the file's mode only the owner and root get here; this is for those who opened it before, or changed it since.
    const owner = this.ownerOf(socket);
    if (owner === undefined || (owner !== process.getuid?.() && owner !== 0)) return void socket.destroy();
    this.#connections.add(socket);
    socket.once('close', () => this.#connections.delete(socket));
    socket.on('error', () => undefined);
    void this.#serve(socket);
  }

  /** One request after the other; whoever does not read its answers is not read from. */
  async #serve(socket: Socket): Promise<void> {
    let pending = '';
    socket.setEncoding('utf8');
    try {
      for await (const text of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
        const lines = `${pending}${text}`.split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) if (!(await this.#handle(line, socket))) return;
        if (pending.length > REQUEST_BYTES_MAX) return void refuse(socket);
      }
    } catch {
      // It went away.
    }
    socket.destroy();
  }

  /** @returns whether the connection goes on */
  async #handle(line: string, socket: Socket): Promise<boolean> {
    const request = line.length <= REQUEST_BYTES_MAX ? requestIn(line) : undefined;
    if (request === undefined) {
      refuse(socket);
      return false;
    }
    if (request.do === 'trace') return this.#trace(request, socket);
    await write(socket, await this.#answer(request));
    return !socket.destroyed;
  }

  /** From here on the connection is the trace's. */
  async #trace({ client, extensions }: ControlRequest & { readonly do: 'trace' }, socket: Socket): Promise<boolean> {
    const begun = await this.controlled.trace(client, extensions);
    if (begun.isErr()) {
      await write(socket, asError(begun.error));
      return !socket.destroyed;
    }
    void tell(begun.value, socket);
    return false;
  }

  async #answer(request: Exclude<ControlRequest, { readonly do: 'trace' }>): Promise<object> {
    switch (request.do) {
      case 'status':
        return { ok: await this.controlled.status() };
      case 'reload':
        return await this.controlled.reload().match<object>((changes) => ({ ok: changes }), asError);
      case 'close-client':
        return { ok: { closed: this.controlled.closeClient(request.client) } };
    }
  }
}

/** Tells what a trace tells. Whoever reads slowly is waited for here, and the bridge meanwhile counts what is lost. */
async function tell(feed: TraceFeed, socket: Socket): Promise<void> {
  socket.once('close', () => feed.close());
  // The end of the stream shows only to who reads.
  socket.on('end', () => socket.destroy()).resume();
  if (socket.destroyed) feed.close();
  await write(socket, { ok: feed.start });
  for await (const part of feed.parts()) await write(socket, part);
  socket.end();
}

/** Resolves when the reader has taken it, or is gone. */
function write(socket: Socket, answer: object): Promise<void> {
  return new Promise((resolve) => socket.write(`${JSON.stringify(answer)}\n`, () => resolve()));
}

function asError({ kind, message }: BridgeError): object {
  return { error: { kind, message } };
}

function refuse(socket: Socket): void {
  socket.end(`${JSON.stringify({ error: { kind: 'invalid-option', message: 'this is no request of the control protocol' } })}\n`, () => socket.destroy());
}

/** Node has no name for it, but every socket of the system has a descriptor. */
function userOf(socket: Socket): number | undefined {
  const { fd } = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  return fd === undefined ? undefined : peerUser(fd);
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}
