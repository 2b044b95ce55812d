import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { BridgeStatus } from '../../dist/control/protocol.js';
import { assertOneSentence, exists, jsonLines, startServe, startX11bridge, unusedDisplay, x11bridge, type Ready } from '../support/command.js';
import { eventually, Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

const NOBODY = 65_534;

const ASK_WHEN_TOLD = `
import sys
from Xlib import display
d = display.Display()
print('connected', flush=True)
sys.stdin.readline()
d.get_input_focus()
`;

describe('a bridge that runs', () => {
  let server: Xvfb;
  let folder: TemporaryFolder;
  let command: Running;
  let ready: Ready;
  before(async () => {
    server = await startXvfb();
    folder = new TemporaryFolder();
    writeFileSync(folder.file('config.toml'), `host-display = "${server.display}"\n`);
    ({ command, ready } = await startServe(['--config', folder.file('config.toml'), '--runtime-dir', folder.path]));
  });
  after(async () => {
    await command[Symbol.asyncDispose]();
    await server.stop();
    folder[Symbol.dispose]();
  });

  const where = (): string[] => ['--runtime-dir', folder.path];
  const client = (program: string, args: string[] = []): Running => new Running(program, args, { env: { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority } });
  const ask = async (): Promise<BridgeStatus> => JSON.parse((await x11bridge(['status', '--json', ...where()])).stdout) as BridgeStatus;

  async function withClient<Value>(act: (number: number) => Promise<Value>): Promise<Value> {
    await using xev = client('xev');
    const seen = command.stdout.length;
    await command.untilOutput(new RegExp(`[^]{${seen}}[^]*"client-connected"[^\n]*"xev"`));
    const connected = jsonLines(command.stdout).findLast(({ program }) => program === 'xev');
    const value = await act(Number(connected?.['client']));
    xev.child.kill();
    return value;
  }

  it('tells programs what it is and who its clients are', async () => {
    await withClient(async (number) => {
      await eventually('the client has asked for something', async () => ((await ask()).clients[0]?.totals.replies ?? 0) > 0);
      const status = await ask();
      assert.deepEqual([status.pid, status.display, status.hostDisplay, status.channel], [command.pid, ready.display, server.display, ready.channel]);
      assert.equal(status.stats.clients, 1);
      const [first, ...more] = status.clients;
      assert.ok(first);
      assert.deepEqual([first.client, first.program, more], [number, 'xev', []]);
      assert.ok(first.totals.requests > 5 && first.totals.bytesToHost > 0 && first.ageMs >= 0);
      assert.ok(first.roundTrips.reduce((sum, count) => sum + count, 0) > 0);
    });
  });

  it('tells people, in a table', async () => {
    await withClient(async (number) => {
      const { code, stdout, stderr } = await x11bridge(['status', ...where()]);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, new RegExp(`^display ${ready.display} -> X display ${server.display} over ${ready.channel}: `));
      assert.match(stdout, /^CLIENT +PID +PROGRAM +AGE +TO SERVER .* WAITS FOR$/m);
      assert.match(stdout, new RegExp(`^ +${number} +\\d+ +xev +\\d+ m?s `, 'm'));
      assert.ok(!stdout.includes('\u001B'));
    });
  });

  it('names the request that a stopped server leaves unanswered, and its age', async () => {
    await using asking = new Running('/usr/bin/python3', ['-c', ASK_WHEN_TOLD], { env: { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority }, stdio: ['pipe', 'pipe', 'pipe'] });
    await asking.untilOutput(/connected/);
    process.kill(server.pid, 'SIGSTOP');
    try {
      asking.child.stdin?.write('go\n');
      await eventually('it waits', async () => ((await ask()).clients[0]?.oldest?.ageMs ?? 0) > 0);
      const [waiting] = (await ask()).clients;
      assert.deepEqual([waiting?.awaited, waiting?.oldest?.opcode], [1, 43]);
      assert.match((await x11bridge(['status', ...where()])).stdout, /GetInputFocus for \d+/);
      process.kill(server.pid, 'SIGCONT');
      await eventually('it waits no more', async () => (await ask()).clients.every(({ awaited }) => awaited === 0));
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
  });

  it('reads its configuration again on demand, or says what is wrong with it', async () => {
    const file = folder.file('config.toml');
    writeFileSync(file, `host-display = "${server.display}"\nclients-max = 9\nchannel = "loopback"\n`);
    const { code, stdout } = await x11bridge(['reload', ...where()]);
    assert.deepEqual([code, stdout], [0, 'applied: clients-max\nwaiting for the next start: channel\n']);
    writeFileSync(file, 'spin = 0\n');
    const refused = await x11bridge(['reload', ...where()]);
    assert.deepEqual([refused.code, refused.stdout], [1, '']);
    assert.ok(refused.stderr.startsWith(`x11bridge: ${file}:1: spin must be `), refused.stderr);
    writeFileSync(file, `host-display = "${server.display}"\n`);
    assert.equal((await x11bridge(['reload', '--json', ...where()])).stdout, '{"applied":["clients-max"],"waiting":[]}\n');
  });

  it('writes its state to the log on SIGUSR1, and opens no debugger', async () => {
    process.kill(command.pid, 'SIGUSR1');
    await command.untilOutput(/^\{"event":"state","version":.*\}$/m);
    assert.doesNotMatch(command.stderr, /[Dd]ebugger/);
    await using other = startX11bridge(['run', '--host-display', server.display, '--', 'sh', '-c', 'kill -USR1 $PPID; exec sleep 600']);
    await other.untilOutput(/^x11bridge: state: display :\d+ -> [^]*^x11bridge: state: CLIENT /m, 'stderr');
    assert.doesNotMatch(other.stderr, /[Dd]ebugger/);
    other.child.kill('SIGTERM');
    await other.finished();
  });

  it('is found by its number, by $DISPLAY, or because it is the only one', async () => {
    const { display } = ready;
    for (const args of [[display], []]) assert.equal((await x11bridge(['status', ...args, ...where()])).code, 0);
    const second = await startServe(['--host-display', server.display, '--runtime-dir', folder.path]);
    await using other = second.command;
    const unclear = await x11bridge(['status', ...where()]);
    assert.equal(unclear.code, 2);
    assertOneSentence(unclear.stderr);
    assert.ok(unclear.stderr.includes(display) && unclear.stderr.includes(second.ready.display));
    const own = await x11bridge(['status', '--json', ...where()], { env: { DISPLAY: `${second.ready.display}.0` } });
    assert.equal((JSON.parse(own.stdout) as BridgeStatus).pid, other.pid);
    other.child.kill('SIGTERM');
    await other.finished();
    assert.ok(!exists(folder.file(`control-${second.ready.display.slice(1)}`)));
  });

  it('that guards a socket of its own is found by the path of that', async () => {
    const socket = folder.file('guarded');
    await using guard = startX11bridge(['guard', '--json', '--host-display', server.display, '--socket', socket, ...where()]);
    await guard.untilOutput(/"ready"/);
    const { code, stdout, stderr } = await x11bridge(['status', '--json', socket]);
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout) as BridgeStatus).pid, guard.pid);
    guard.child.kill('SIGTERM');
    await guard.finished();
    assert.ok(!exists(`${socket}.control`));
  });

  it('that is not there is named in one sentence', async () => {
    using empty = new TemporaryFolder();
    for (const [args, code] of [[[], 1], [[unusedDisplay()], 1], [['4712'], 2]] as const) {
      const result = await x11bridge(['status', ...args, '--runtime-dir', empty.path]);
      assert.deepEqual([result.code, result.stdout], [code, '']);
      assertOneSentence(result.stderr);
    }
  });

  it('answers no other user, even where the modes of files would let one in', async function () {
    // Only root can become somebody else.
    if (process.getuid?.() !== 0) this.skip();
    const control = folder.file(`control-${ready.display.slice(1)}`);
    chmodSync(folder.path, 0o755);
    chmodSync(control, 0o666);
    try {
      const stranger = new Running('socat', ['-', `UNIX-CONNECT:${control}`], { uid: NOBODY, gid: NOBODY, stdio: ['pipe', 'pipe', 'pipe'] });
      await using _ = stranger;
      stranger.child.stdin?.on('error', () => undefined);
      stranger.child.stdin?.write('{"do":"status"}\n');
      assert.equal(stranger.child.stdout === null ? '' : await text(stranger.child.stdout), '');
    } finally {
      chmodSync(folder.path, 0o700);
      chmodSync(control, 0o600);
    }
    assert.equal((await x11bridge(['status', ...where()])).code, 0);
  });

  it('can be asked by the command that run starts', async () => {
    const inner = `${process.execPath} ${require.resolve('../../dist/cli/main.js')} status --json --runtime-dir ${folder.path}`;
    const { code, stdout, stderr } = await x11bridge(['run', '--host-display', server.display, '--runtime-dir', folder.path, '--', 'sh', '-c', `sleep 0.5; ${inner}`]);
    assert.equal(code, 0, stderr);
    assert.notEqual((JSON.parse(stdout) as BridgeStatus).display, ready.display);
  });

  it('takes its control socket along when it is killed by a signal', async () => {
    const { command: short, ready: there } = await startServe(['--host-display', server.display, '--runtime-dir', folder.path]);
    await using running = short;
    running.child.kill('SIGTERM');
    assert.equal((await running.finished()).code, 0);
    assert.ok(!exists(folder.file(`control-${there.display.slice(1)}`)));
  });
});
