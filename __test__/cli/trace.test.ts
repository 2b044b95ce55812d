import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { assertOneSentence, exists, jsonLines, startServe, startX11bridge, x11bridge, type Ready } from '../support/command.js';
import { eventually, finish, Running, type Finished } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

const COPIED = 'what nobody else may read';
/** A window that draws nothing, and says so when it has seen a key. */
const HEAR_A_KEY = `
from Xlib import X, display
d = display.Display()
w = d.screen().root.create_window(0, 0, 50, 50, 0, X.CopyFromParent, event_mask=X.KeyPressMask)
w.map()
d.sync()
w.set_input_focus(X.RevertToParent, X.CurrentTime)
d.sync()
print('listens', flush=True)
while d.next_event().type != X.KeyPress: pass
print('heard', flush=True)
`;

describe('a trace', () => {
  let server: Xvfb;
  let folder: TemporaryFolder;
  let command: Running;
  let ready: Ready;
  before(async () => {
    server = await startXvfb();
    folder = new TemporaryFolder();
    ({ command, ready } = await startServe(['--host-display', server.display, '--runtime-dir', folder.path]));
  });
  after(async () => {
    await command[Symbol.asyncDispose]();
    await server.stop();
    folder[Symbol.dispose]();
  });

  const env = (): NodeJS.ProcessEnv => ({ ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority });
  /** A client that comes when it has begun is traced from its set-up on. */
  async function start(args: readonly string[] = []): Promise<Running> {
    const tracer = startX11bridge(['trace', ready.display, '--runtime-dir', folder.path, ...args], { limitMs: 60_000 });
    await tracer.untilOutput(/^x11bridge: traces display :\d+ until Ctrl-C$/m, 'stderr');
    return tracer;
  }
  const run = (program: string, args: readonly string[] = []): Promise<Finished> => finish(program, args, { env: env() });

  async function traced(args: readonly string[], act: () => Promise<unknown>): Promise<Finished> {
    await using tracer = await start(args);
    await act();
    // What was said before is told before this client is.
    await run('xdpyinfo');
    await tracer.untilOutput(/xdpyinfo.*is gone|"kind":"ends".*xdpyinfo|xdpyinfo.*"kind":"ends"/);
    tracer.child.kill('SIGINT');
    // Awaited here: the scope's end would kill it.
    return await tracer.finished();
  }

  it('shows requests with their fields, replies with their time, events and errors', async () => {
    const { code, stdout, stderr } = await traced([], async () => {
      await run('xprop', ['-id', '0x7654321']);
      await using _ = await typeAKey();
    });
    assert.equal(code, 0);
    assertOneSentence(stderr);
    assert.match(stdout, /^\d\d:\d\d:\d\d\.\d{6} +\d+ xprop -> #\d+ InternAtom \d+ B name=\w+/m);
    assert.match(stdout, /^.* xprop <- #\d+ reply to InternAtom 32 B after \d+ [µm]?s atom=\w+$/m);
    assert.match(stdout, /^.* xprop <- #\d+ error (Window|Drawable) for \w+ value=0x7654321$/m);
    assert.match(stdout, /^.* xdpyinfo -> #\d+ BIG-REQUESTS\.Enable 4 B$/m);
    assert.match(stdout, /^.* python3 <- #\d+ event KeyPress detail=blanked root=0x[\da-f]+ .*\(blanked\)$/m);
    assert.match(stdout, /^.* xdotool -> #\d+ XTEST\.FakeInput \d+ B \(blanked\)$/m);
  });

  async function typeAKey(): Promise<Running> {
    const listener = new Running('/usr/bin/python3', ['-c', HEAR_A_KEY], { env: env() });
    await listener.untilOutput(/listens/);
    await run('xdotool', ['key', 'q']);
    await listener.untilOutput(/heard/);
    return listener;
  }

  it('has keys and what is copied only where it is asked for them', async () => {
    const copy = async (): Promise<void> => {
      await using owner = new Running('xclip', ['-i', '-quiet', '-selection', 'clipboard'], { env: env(), stdio: ['pipe', 'pipe', 'pipe'] });
      owner.child.stdin?.end(COPIED);
      await eventually('it can be pasted', async () => (await run('xclip', ['-o', '-selection', 'clipboard'])).stdout === COPIED);
      await using _ = await typeAKey();
    };
    const blanked = await traced(['--json'], copy);
    const clear = await traced(['--json', '--with-secrets'], copy);
    const keys = (output: Finished): unknown[] => jsonLines(output.stdout).filter(({ name }) => name === 'KeyPress').map(({ fields }) => (fields as Record<string, string>)['detail']);
    assert.ok(keys(blanked).length > 0 && keys(blanked).every((key) => key === 'blanked'));
    assert.ok(keys(clear).length > 0 && keys(clear).every((key) => /^\d+$/.test(String(key))));
    const data = (output: Finished): unknown[] => jsonLines(output.stdout).filter(({ name }) => name === 'ChangeProperty').map(({ blanked: was }) => was);
    assert.ok(data(blanked).length > 0 && data(blanked).every((was) => was === true));
    assert.ok(data(clear).length > 0 && data(clear).every((was) => was === false));
  });

  it('goes to a file for its owner alone, which tshark understands', async () => {
    const [file, open] = [folder.file('blanked.pcap'), folder.file('clear.pcap')];
    writeFileSync(open, 'older and longer than what will be there at first');
    chmodSync(open, 0o644);
    for (const args of [['--pcap', file], ['--pcap', open, '--with-secrets']]) {
      await using tracer = await start(args);
      await using owner = new Running('xclip', ['-i', '-quiet', '-selection', 'clipboard'], { env: env(), stdio: ['pipe', 'pipe', 'pipe'] });
      owner.child.stdin?.end(COPIED);
      await eventually('it can be pasted', async () => (await run('xclip', ['-o', '-selection', 'clipboard'])).stdout === COPIED);
      // What comes last shows that everything is there.
      await run('xprop', ['-root', 'WHAT_COMES_LAST']);
      await eventually('the file has it', () => readFileSync(args[1] ?? '').includes('WHAT_COMES_LAST'));
      tracer.child.kill('SIGTERM');
      assert.equal((await tracer.finished()).code, 0);
    }
    assert.deepEqual([file, open].map((path) => statSync(path).mode & 0o777), [0o600, 0o600]);
    assert.deepEqual([file, open].map((path) => readFileSync(path).includes(COPIED)), [false, true]);
    for (const path of [file, open]) {
      const { code, stdout } = await finish('tshark', ['-r', path], { env: { ...process.env, HOME: folder.path } });
      assert.equal(code, 0);
      assert.match(stdout, /Initial connection request/);
      assert.match(stdout, /Requests: InternAtom/);
      assert.match(stdout, /Reply: InternAtom/);
      assert.doesNotMatch(stdout, /Malformed|unknown request/i);
    }
  });

  it('can be of one client', async () => {
    await using xev = new Running('xev', [], { env: env() });
    const connected = await command.untilOutput(/"client-connected","client":(\d+),"pid":\d+,"program":"xev"/);
    await using tracer = await start(['--client', connected[1] ?? '']);
    await run('xdpyinfo');
    xev.child.kill();
    await tracer.untilOutput(/is gone/);
    tracer.child.kill('SIGINT');
    const { stdout } = await tracer.finished();
    assert.ok(stdout.split('\n').filter(Boolean).every((line) => line.includes(' xev ')), stdout);
  });

  it('that is not read loses messages, says how many, and holds nobody up', async () => {
    await using tracer = await start();
    tracer.child.stdout?.pause();
    process.kill(tracer.pid, 'SIGSTOP');
    const { code } = await run('x11perf', ['-repeat', '1', '-reps', '300000', '-noop']);
    process.kill(tracer.pid, 'SIGCONT');
    assert.equal(code, 0);
    tracer.child.stdout?.resume();
    await tracer.untilOutput(/warn: [\d,]+ messages were lost here/, 'stderr');
    tracer.child.kill('SIGINT');
    const ended = await tracer.finished();
    assert.equal(ended.code, 0);
    assert.match(ended.stderr, /warn: [\d,]+ messages were lost in all; --client N traces one client alone\n$/);
  });

  it('ends in order with its reader, and with its bridge', async () => {
    await using reader = new Running('sh', ['-c', `"$0" "$@" | head -n 1`, process.execPath, require.resolve('../../dist/cli/main.js'), 'trace', ready.display, '--runtime-dir', folder.path], { limitMs: 60_000 });
    await eventually('it has read a line', async () => {
      await run('xdpyinfo');
      return reader.child.exitCode !== null;
    });
    assert.equal(reader.child.exitCode, 0);
    assertOneSentence(reader.stderr);
    const other = await startServe(['--host-display', server.display, '--runtime-dir', folder.path]);
    await using served = other.command;
    await using tracer = startX11bridge(['trace', other.ready.display, '--runtime-dir', folder.path]);
    await eventually('it traces', async () => {
      await finish('xdpyinfo', [], { env: { ...env(), DISPLAY: other.ready.display, XAUTHORITY: other.ready.xauthority } });
      return tracer.stdout !== '';
    });
    served.child.kill('SIGTERM');
    assert.equal((await tracer.finished()).code, 0);
  });

  it('that makes no sense, or that there is already, is refused in one sentence, and no file is made', async () => {
    const file = folder.file('never.pcap');
    await using tracer = await start();
    for (const [args, wanted] of [[['--client', 'xterm'], 2], [['--pcap', file], 1]] as const) {
      const { code, stdout, stderr } = await x11bridge(['trace', ready.display, '--runtime-dir', folder.path, ...args]);
      assert.deepEqual([code, stdout], [wanted, '']);
      assertOneSentence(stderr);
    }
    assert.ok(!exists(file));
    tracer.child.kill('SIGINT');
    await tracer.finished();
    const unwritable = await x11bridge(['trace', ready.display, '--runtime-dir', folder.path, '--pcap', `${folder.path}/none/trace.pcap`]);
    assert.equal(unwritable.code, 1);
    assertOneSentence(unwritable.stderr);
  });
});
