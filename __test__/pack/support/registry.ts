// A registry of npm on the loopback interface that has the packed packages, as if they were published. Those who ask it for any other
// package are sent to the public one.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { finish } from '../../support/processes.js';
import { manifestIn, tarballs, type Manifest } from './artifacts.js';

interface Published {
  readonly manifest: Manifest;
  readonly file: string;
  readonly bytes: Buffer;
}

export class Registry implements AsyncDisposable {
  readonly #server: Server;
  readonly #packages: ReadonlyMap<string, Published>;
  readonly #elsewhere: string;

  private constructor(packages: ReadonlyMap<string, Published>, elsewhere: string) {
    this.#packages = packages;
    this.#elsewhere = elsewhere;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<Registry> {
    const published = await Promise.all(tarballs().map(async (path) => ({ manifest: await manifestIn(path), file: basename(path), bytes: readFileSync(path) })));
    const { stdout } = await finish('npm', ['config', 'get', 'registry']);
    const registry = new Registry(new Map(published.map((its) => [its.manifest.name, its])), stdout.trim().replace(/\/$/, ''));
    registry.#server.listen(0, '127.0.0.1');
    await once(registry.#server, 'listening');
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer({ url = '/' }: IncomingMessage, response: ServerResponse): void {
    const [, name = '', file] = /^\/([^/?]+)(?:\/-\/([^/?]+))?/.exec(url) ?? [];
    const published = this.#packages.get(name);
    if (published === undefined) response.writeHead(302, { location: `${this.#elsewhere}${url}` }).end();
    else if (file === undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.#document(published)));
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(published.bytes);
  }

  #document({ manifest, file, bytes }: Published): object {
    const { name, version } = manifest;
    const hash = (algorithm: string, encoding: 'base64' | 'hex'): string => createHash(algorithm).update(bytes).digest(encoding);
    const dist = { tarball: `${this.url}/${name}/-/${file}`, integrity: `sha512-${hash('sha512', 'base64')}`, shasum: hash('sha1', 'hex') };
    return { _id: name, name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } } };
  }
}
