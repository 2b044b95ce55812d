// Where Prometheus asks for the figures: a Unix socket or a TCP port with a little HTTP.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { err, ok, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import { onExit } from '../exit.js';
import { prometheusText } from './prometheus.js';
import type { BridgeStatus } from './protocol.js';

const CONNECTIONS_MAX = 16;
const REQUEST_BYTES_MAX = 8192;

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

export class MetricsServer {
  readonly #remove: () => void;

  private constructor(
    private readonly server: Server,
    private readonly address: Address,
  ) {
    this.#remove = () => {
      if ('path' in address) rmSync(address.path, { force: true });
    };
    onExit(this.#remove, true);
    server.on('error', () => undefined);
  }

  /**
   * Listens for those who ask.
   * @param where `unix`, a port, or HOST:PORT
   * @param path the path for `unix`, in a directory that is the user's alone
   */
  static listen(where: string, path: string, status: () => Promise<BridgeStatus>): Promise<Result<MetricsServer, BridgeError>> {
    const address = addressOf(where, path);
    return new Promise((resolve) => {
      if ('path' in address) rmSync(address.path, { force: true });
      const server = createServer({ maxHeaderSize: REQUEST_BYTES_MAX }, (request, response) => void answer(request, response, status));
      server.maxConnections = CONNECTIONS_MAX;
      server.once('error', (error) => resolve(err(unusable(where, 'code' in error ? String(error.code) : error.message))));
      server.listen(address, () => {
        if ('path' in address) chmodSync(address.path, 0o600);
        resolve(ok(new MetricsServer(server, address)));
      });
    });
  }

  /** Where it listens, for people. */
  get where(): string {
    if ('path' in this.address) return this.address.path;
    const bound = this.server.address();
    return typeof bound === 'object' && bound !== null ? `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}/metrics` : '';
  }

  close(): void {
    onExit(this.#remove, false);
    this.server.close();
    this.server.closeAllConnections();
    this.#remove();
  }
}

function addressOf(where: string, path: string): Address {
  if (where === 'unix') return { path };
  const colon = where.lastIndexOf(':');
  const host = where.slice(0, Math.max(colon, 0)).replaceAll(/^\[|\]$/g, '');
  return { host: host === '' ? '127.0.0.1' : host, port: Number(where.slice(colon + 1)) };
}

function unusable(where: string, why: string): BridgeError {
  return failure('os', `the figures can't be offered at ${where} (${why}): name another port with --metrics`);
}

async function answer({ method, url }: IncomingMessage, response: ServerResponse, status: () => Promise<BridgeStatus>): Promise<void> {
  const found = url === '/metrics' || url === '/';
  if (!found || (method !== 'GET' && method !== 'HEAD')) return void response.writeHead(found ? 405 : 404).end();
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  response.end(method === 'HEAD' ? undefined : prometheusText(await status()));
}
