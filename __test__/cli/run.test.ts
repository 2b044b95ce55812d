import assert from 'node:assert/strict';
import { assertOneSentence, COMMAND, displayFiles, exists, jsonLines, startX11bridge, unusedDisplay, x11bridge } from '../support/command.js';
import { finish, Running, type Finished } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

describe('run', () => {
  let server: Xvfb;
  before(async () => {
    server = await startXvfb();
  });
  after(() => server.stop());

  function run(...args: string[]): Promise<Finished> {
    return x11bridge(['run', '--host-display', server.display, ...args]);
  }

  it('ends with the exit code of its child', async () => {
    for (const code of [0, 1, 7, 255]) assert.equal((await run('--', 'sh', '-c', `exit ${code}`)).code, code);
  });

  it('ends with 128 + n when signal n ended its child', async () => {
    assert.equal((await run('--', 'sh', '-c', 'kill -KILL $$')).code, 137);
    assert.equal((await run('--', 'sh', '-c', 'kill -SEGV $$')).code, 139);
  });

  it('ends with 127 and one sentence when the command is not found', async () => {
    for (const command of ['no-such-command-anywhere', '/no/such/path', '']) {
      const { code, stderr } = await run('--', command);
      assert.equal(code, 127);
      assertOneSentence(stderr);
      assert.match(stderr, /was not found/);
    }
  });

  it('ends with 126 and one sentence when the command cannot be executed', async () => {
    using folder = new TemporaryFolder();
    for (const command of [folder.path, '/etc/passwd', '/etc/passwd/x']) {
      const { code, stderr } = await run('--', command);
      assert.equal(code, 126, command);
      assertOneSentence(stderr);
    }
  });

  it('gives its child a display and a cookie file that work, and removes both afterwards', async () => {
    const asked = unusedDisplay();
    const { code, stdout, stderr } = await run('--display', asked, '--', 'sh', '-c', 'echo $DISPLAY $XAUTHORITY; xdpyinfo | head -n 1');
    assert.equal(code, 0, stderr);
    const [, display = '', xauthority = '', name] = /^(:\d+) (\/\S+)\n(.*)\n$/.exec(stdout) ?? [];
    assert.equal(display, asked);
    assert.equal(name, `name of display:    ${display}`);
    const { socket, lock } = displayFiles(display);
    assert.deepEqual([socket, lock, xauthority].filter(exists), []);
  });

  it('needs no -- when the command comes after its own options', async () => {
    const { stdout } = await run('echo', '--display', '--help', '-x');
    assert.equal(stdout, '--display --help -x\n');
  });

  it('hands stdin to its child', async () => {
    await using command = new Running(process.execPath, [COMMAND, 'run', '--host-display', server.display, 'cat'], { stdio: ['pipe', 'pipe', 'pipe'] });
    command.child.stdin?.end('from stdin');
    assert.equal((await command.finished()).stdout, 'from stdin');
  });

  it('writes events to stderr with --json, and leaves stdout to its child', async () => {
    const { code, stdout, stderr } = await run('--json', '--', 'sh', '-c', 'xdpyinfo > /dev/null; echo mine');
    assert.deepEqual([code, stdout], [0, 'mine\n'], stderr);
    assert.deepEqual(jsonLines(stderr).map(({ event }) => event), ['ready', 'client-connected', 'client-closed', 'closed']);
  });

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const) {
    it(`sends ${signal} on to its child, and does not end before it`, async () => {
      const script = `trap 'echo caught; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
      await using command = startX11bridge(['run', '--host-display', server.display, '--', 'sh', '-c', script]);
      await command.untilOutput(/ready/);
      command.child.kill(signal);
      const { code, stdout } = await command.finished();
      assert.deepEqual([code, stdout], [5, 'ready\ncaught\n']);
    });
  }

  it('leaves Ctrl-C to the terminal, so that the child gets it once', async () => {
    // script(1) gives the command a terminal; byte 3 on its stdin is Ctrl-C. The child waits for one, and then a while for a second.
    // `exec`, as the shell that script(1) takes, $SHELL or sh, would be ended by it, too.
    const script = `trap "echo caught; told=1" INT; echo ready; until [ $told ]; do sleep 0.05; done; i=0; while [ $i -lt 10 ]; do i=$((i+1)); sleep 0.05; done; echo over`;
    const line = `exec '${process.execPath}' '${COMMAND}' run --host-display ${server.display} -- sh -c '${script}'`;
    await using terminal = new Running('script', ['--quiet', '--return', '--command', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'] });
    await terminal.untilOutput(/ready/);
    terminal.child.stdin?.write('\x03');
    const { code, stdout } = await terminal.finished();
    assert.equal(code, 0);
    assert.equal(stdout.match(/caught/g)?.length, 1, stdout);
  });

  it('fails with 1 and one sentence when the bridge cannot start, and starts no child', async () => {
    const { code, stdout, stderr } = await run('--display', server.display, '--', 'echo', 'started');
    assert.deepEqual([code, stdout], [1, '']);
    assertOneSentence(stderr);
  });

  it('says at level info which channel was chosen and why', async () => {
    const { stderr } = await run('--log-level', 'info', '--', 'true');
    assert.match(stderr, /^x11bridge: info: channel (loopback|socket): .+$/m);
    const explicit = await finish(process.execPath, [COMMAND, 'run', '--host-display', server.display, '--', 'true']);
    assert.equal(explicit.stderr, '');
  });
});
