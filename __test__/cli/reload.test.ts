import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { COMMAND, displayFiles, exists, jsonLines, startServe, unusedDisplay } from '../support/command.js';
import { finish, type Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

/** Runs a program on a terminal of its own, closes that when the program is ready, and ends with its exit code. */
const TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
text = b''
while b'export ' not in text or not text.endswith(b'\\n'):
    text += os.read(terminal, 4096)
sys.stdout.write(text.decode().replace('\\r', ''))
sys.stdout.flush()
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

describe('a reload by SIGHUP', () => {
  let server: Xvfb;
  let folder: TemporaryFolder;
  let file: string;
  before(async () => {
    server = await startXvfb();
    folder = new TemporaryFolder();
    file = folder.file('config.toml');
  });
  after(async () => {
    await server.stop();
    folder[Symbol.dispose]();
  });

  function configure(...lines: string[]): void {
    writeFileSync(file, [`host-display = "${server.display}"`, ...lines, ''].join('\n'));
  }

  /** Sends the signal and returns what the bridge says about it. */
  async function reload(command: Running, event: string): Promise<Record<string, unknown> | undefined> {
    const seen = jsonLines(command.stdout).length;
    command.child.kill('SIGHUP');
    await command.untilOutput(new RegExp(`(?:.*\n){${seen}}[^]*"${event}".*\n`));
    return jsonLines(command.stdout)[seen];
  }

  it('applies what can change and names what cannot', async () => {
    configure('clients-max = 1', 'spin = 5');
    const { command, ready } = await startServe(['--config', file]);
    await using running = command;
    const client = () => finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority } });
    configure('clients-max = 7', 'channel = "loopback"', 'log-level = "info"', 'host-timeout = 9');
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: ['spin', 'clients-max', 'host-timeout', 'log-level'], waiting: ['channel'] });
    await running.untilOutput(/info: the configuration was read again: spin, clients-max, host-timeout, log-level changed\n/, 'stderr');
    await running.untilOutput(/warn: channel changed in the configuration, which has no effect before the next start\n/, 'stderr');
    // Nothing new to apply, but the channel is still another one.
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: [], waiting: ['channel'] });
    assert.equal((await client()).code, 0);
  });

  it('of a faulty file changes nothing and names the place', async () => {
    configure('clients-max = 3');
    const { command } = await startServe(['--config', file]);
    await using running = command;
    configure('clients-max = 4', 'spin = "of"');
    const { kind, message } = (await reload(running, 'reload-failed')) ?? {};
    assert.equal(kind, 'invalid-config');
    assert.ok(String(message).startsWith(`${file}:3: spin must be `), String(message));
    await running.untilOutput(/error: the configuration stays as it was: [^\n]+:3: spin must be /, 'stderr');
    configure('clients-max = 4');
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: ['clients-max'], waiting: [] });
  });

  it('leaves what flags say', async () => {
    configure('clients-max = 3');
    const { command } = await startServe(['--config', file, '--clients-max', '2']);
    await using running = command;
    configure('clients-max = 4');
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: [], waiting: [] });
  });

  it('is not what a closed terminal asks for: that ends the bridge, with 0 and nothing left', async () => {
    configure();
    const { code, stdout } = await finish('python3', ['-c', TERMINAL, process.execPath, COMMAND, 'serve', '--config', file, '--display', unusedDisplay()]);
    assert.equal(code, 0);
    const [, display = '', xauthority = ''] = /^export DISPLAY=(\S+) XAUTHORITY=(\S+)$/m.exec(stdout) ?? [];
    assert.match(display, /^:\d+$/);
    const { socket, lock } = displayFiles(display);
    assert.deepEqual([socket, lock, xauthority].filter(exists), []);
  });
});
