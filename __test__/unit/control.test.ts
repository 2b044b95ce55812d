import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { err, errAsync, ok, okAsync } from 'neverthrow';
import { ControlClient, controlledDisplays, controlPath } from '../../dist/control/client.js';
import { requestIn, type BridgeStatus, type TracePart } from '../../dist/control/protocol.js';
import { ControlServer, type Controlled, type TraceFeed } from '../../dist/control/server.js';
import { failure } from '../../dist/errors.js';
import { exists } from '../support/command.js';
import { eventually } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';

const STATUS = { version: '1', pid: 2, display: ':7' } as unknown as BridgeStatus;

class Scripted implements Controlled {
  closed: number[] = [];
  reload: Controlled['reload'] = () => okAsync({ applied: ['spin'], waiting: [] });
  status = async (): Promise<BridgeStatus> => STATUS;
  closeClient = (client: number): boolean => this.closed.push(client) === 1;
  feed = new ScriptedFeed();
  trace: Controlled['trace'] = async () => ok(this.feed);
}

/** Tells what is pushed, and is ended by who closes it. */
class ScriptedFeed implements TraceFeed {
  readonly start = { extensions: [{ name: 'RENDER', major: 139, firstEvent: 0, firstError: 142 }] };
  closed = false;
  #parts: TracePart[] = [];
  #wake: () => void = () => undefined;

  push(part: TracePart): void {
    this.#parts.push(part);
    this.#wake();
  }

  async *parts(): AsyncGenerator<TracePart, void> {
    while (!this.closed) {
      yield* this.#parts.splice(0);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }
}

describe('the control socket', () => {
  let folder: TemporaryFolder;
  let path: string;
  let scripted: Scripted;
  let server: ControlServer;
  beforeEach(async () => {
    folder = new TemporaryFolder();
    path = controlPath(folder.path, ':7');
    scripted = new Scripted();
    server = (await ControlServer.listen(path, scripted))._unsafeUnwrap();
  });
  afterEach(() => {
    server.close();
    folder[Symbol.dispose]();
  });

  const connect = async (): Promise<ControlClient> => (await ControlClient.connect(folder.path, ':7'))._unsafeUnwrap();

  /** What the socket says to some bytes, until it closes the connection. */
  async function said(...pieces: readonly (string | Buffer)[]): Promise<string> {
    const socket = createConnection(path);
    socket.on('error', () => undefined);
    for (const piece of pieces) socket.write(piece);
    // One that is closed before it was heard is an error to who writes.
    return text(socket).catch(() => '');
  }

  async function assertAlive(): Promise<void> {
    using client = await connect();
    assert.deepEqual((await client.ask({ do: 'status' }))._unsafeUnwrap(), STATUS);
  }

  it('belongs to its owner alone', () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(statSync(path).isSocket());
  });

  it('tells a trace until who asked for it goes, and then knows that at once', async () => {
    const client = await connect();
    assert.deepEqual((await client.ask({ do: 'trace', client: 3, extensions: ['RENDER'] }))._unsafeUnwrap(), scripted.feed.start);
    scripted.feed.push({ records: 'AAAA', lost: 0 });
    scripted.feed.push({ records: '', lost: 7 });
    const parts: TracePart[] = [];
    for await (const part of client.follow()) if (parts.push(part) === 2) break;
    assert.deepEqual(parts, [{ records: 'AAAA', lost: 0 }, { records: '', lost: 7 }]);
    client[Symbol.dispose]();
    await eventually('it is closed', () => scripted.feed.closed);
    await assertAlive();
  });

  it('says why there is no trace, and goes on', async () => {
    scripted.trace = async () => err(failure('busy', 'somebody traces already'));
    using client = await connect();
    assert.equal((await client.ask({ do: 'trace', extensions: [] }))._unsafeUnwrapErr().kind, 'busy');
    assert.deepEqual((await client.ask({ do: 'status' }))._unsafeUnwrap(), STATUS);
    for (const senseless of [{ do: 'trace', client: 0 }, { do: 'trace', client: 'x' }, { do: 'trace', extensions: [3] }, { do: 'trace', extensions: ['x'.repeat(200)] }]) assert.equal(requestIn(JSON.stringify(senseless)), undefined);
  });

  it('answers one request after the other', async () => {
    using client = await connect();
    const answers = await Promise.all([client.ask({ do: 'status' }), client.ask({ do: 'close-client', client: 3 }), client.ask({ do: 'close-client', client: 4 }), client.ask({ do: 'reload' })]);
    assert.deepEqual(answers.map((answer) => answer._unsafeUnwrap()), [STATUS, { closed: true }, { closed: false }, { applied: ['spin'], waiting: [] }]);
    assert.deepEqual(scripted.closed, [3, 4]);
  });

  it('gives a failure back with its kind and sentence', async () => {
    scripted.reload = () => errAsync(failure('invalid-config', '/f:1: wrong'));
    using client = await connect();
    const { kind, message } = (await client.ask({ do: 'reload' }))._unsafeUnwrapErr();
    assert.deepEqual([kind, message], ['invalid-config', '/f:1: wrong']);
  });

  it('takes requests in any pieces', async () => {
    const socket = createConnection(path);
    for (const byte of '{"do":"status"}\n{"do":"sta') {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end('tus"}\n');
    assert.deepEqual((await text(socket)).split('\n').filter(Boolean).map((line) => JSON.parse(line) as object), [{ ok: STATUS }, { ok: STATUS }]);
  });

  const garbage: readonly (readonly [what: string, bytes: string | Buffer])[] = [
    ['words', 'hello\n'],
    ['no object', '7\n'],
    ['null', 'null\n'],
    ['an unknown request', '{"do":"dance"}\n'],
    ['a request of the wrong type', '{"do":"close-client","client":"3"}\n'],
    ['a fraction of a client', '{"do":"close-client","client":1.5}\n'],
    ['a name that all objects have', '{"do":"toString"}\n'],
    ['an empty line', '\n'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0, 0x0a])],
    ['a line that is too long', `{"do":"status","x":"${'x'.repeat(5000)}"}\n`],
    ['a line that never ends', 'x'.repeat(200_000)],
    ['another protocol', 'GET / HTTP/1.1\r\n\r\n'],
  ];
  for (const [what, bytes] of garbage) {
    it(`closes a connection that says ${what}, and no other`, async () => {
      using other = await connect();
      assert.deepEqual(JSON.parse(await said(bytes)), { error: { kind: 'invalid-option', message: 'this is no request of the control protocol' } });
      assert.ok((await other.ask({ do: 'status' })).isOk());
      assert.deepEqual(scripted.closed, []);
    });
  }

  it('takes no harm from half a message and a hang-up', async () => {
    const socket = createConnection(path);
    socket.end('{"do":"sta');
    assert.equal(await text(socket), '');
    await assertAlive();
  });

  it('takes no harm from somebody who asks and never reads', async () => {
    const socket = createConnection(path);
    socket.on('error', () => undefined);
    const request = '{"do":"status"}\n'.repeat(10_000);
    for (let round = 0; round < 20; round++) socket.write(request);
    await assertAlive();
    // What it has been sent but not read stays in the kernel, the rest unread by the bridge.
    assert.ok(socket.writableLength > 0);
    socket.destroy();
    await assertAlive();
  });

  it('takes 32 connections at once, and goes on when more come', async () => {
    const clients = await Promise.all(Array.from({ length: 32 }, connect));
    for (const client of clients) assert.ok((await client.ask({ do: 'status' })).isOk());
    assert.equal(await said('{"do":"status"}\n'), '');
    for (const client of clients) client[Symbol.dispose]();
    await eventually('there is room again', async () => {
      using client = await connect();
      return (await client.ask({ do: 'status' })).isOk();
    });
  });

  it('takes the place of one that a dead bridge left, and goes when it is closed', async () => {
    const again = (await ControlServer.listen(path, scripted))._unsafeUnwrap();
    await assertAlive();
    again.close();
    assert.ok(!exists(path));
    writeFileSync(path, 'left behind');
    (await ControlServer.listen(path, scripted))._unsafeUnwrap().close();
    assert.ok(!exists(path));
  });

  it('that cannot be made is a sentence', async () => {
    for (const impossible of ['/does/not/exist/control-1', folder.file('x'.repeat(200))]) {
      const error = (await ControlServer.listen(impossible, scripted))._unsafeUnwrapErr();
      assert.match(error.message, /^the control socket .* can't be made \(([A-Z]+|its path is too long)\): "x11bridge status" and the like won't reach this bridge$/);
    }
  });

  it('closes connections of other users unheard', async () => {
    server.close();
    for (const owner of [12_345, undefined]) {
      server = (await ControlServer.listen(path, scripted, () => owner))._unsafeUnwrap();
      assert.equal(await said('{"do":"close-client","client":1}\n'), '');
      server.close();
    }
    assert.deepEqual(scripted.closed, []);
  });
});

describe('who asks a bridge', () => {
  it('finds the displays of a runtime directory by their numbers', () => {
    using folder = new TemporaryFolder();
    for (const name of ['control-10', 'control-9', 'control-x', 'xauthority-3', 'control-']) writeFileSync(folder.file(name), '');
    assert.deepEqual(controlledDisplays(folder.path), [':9', ':10']);
    assert.deepEqual(controlledDisplays('/does/not/exist'), []);
  });

  it('is told when nobody is there, when it was a file, and when the bridge goes without an answer', async () => {
    using folder = new TemporaryFolder();
    const kind = async (): Promise<string> => (await ControlClient.connect(folder.path, ':7'))._unsafeUnwrapErr().kind;
    assert.equal(await kind(), 'not-running');
    writeFileSync(folder.file('control-7'), '');
    assert.equal(await kind(), 'not-running');
    const silent = createServer((socket: Socket) => socket.end()).listen(folder.file('control-8'));
    await new Promise((resolve) => silent.once('listening', resolve));
    using client = (await ControlClient.connect(folder.path, ':8'))._unsafeUnwrap();
    assert.equal((await client.ask({ do: 'status' }))._unsafeUnwrapErr().kind, 'not-running');
    silent.close();
  });

  it('says only what is a request', () => {
    assert.deepEqual(requestIn('{"do":"close-client","client":4,"more":1}'), { do: 'close-client', client: 4 });
    assert.equal(requestIn('{"do":["status"]}'), undefined);
  });
});
