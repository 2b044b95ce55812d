import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { COMMAND, displayFiles, exists, jsonLines, startServe, unusedDisplay } from '../support/command.js';
import { finish, Running } from '../support/processes.js';
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
    return jsonLines(command.stdout).slice(seen).find((line) => line['event'] === event);
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

  it('applies a policy, a changed file of one as well, and a faulty one changes nothing', async () => {
    const policy = folder.file('rules.toml');
    writeFileSync(policy, 'base = "open"\n');
    configure(`policy = "${policy}"`);
    const { command, ready } = await startServe(['--config', file]);
    await using running = command;
    const env = { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority };
    const extensions = async (): Promise<boolean[]> => ['XTEST', 'DRI3', 'MIT-SHM'].map(((text) => (name: string) => text.includes(`    ${name}\n`))((await finish('xdpyinfo', [], { env })).stdout));
    const [, , shm] = await extensions();
    assert.deepEqual([(await extensions())[0], shm], [true, true]);
    await using connected = new Running('xev', [], { env });
    await running.untilOutput(/"client-connected","client":\d+,"pid":\d+,"program":"xev"/);
    writeFileSync(policy, 'base = "open"\n[[rules]]\nrequest = "XTEST"\naction = "hide"\n');
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: ['policy'], waiting: [] });
    assert.deepEqual((await extensions())[0], false);
    writeFileSync(policy, 'base = "open"\n[[rules]]\nrequest = "XTEST"\naction = "hidden"\n');
    const failed = (await reload(running, 'reload-failed')) ?? {};
    assert.equal(failed['kind'], 'invalid-policy');
    assert.ok(String(failed['message']).startsWith(`${policy}: rule`), String(failed['message']));
    assert.deepEqual((await extensions())[0], false);
    configure('policy = "open"', 'shm = "hide"', 'dri3 = "off"');
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: ['dri3', 'shm', 'policy'], waiting: [] });
    assert.deepEqual(await extensions(), [true, false, false]);
    assert.equal(connected.child.exitCode, null);
  });

  it('of a policy that the X server has to be asked about and does not answer changes nothing, and says why', async () => {
    await using stopped = await startXvfb();
    const ask = (policy: string): void => writeFileSync(file, `host-display = "${stopped.display}"\nhost-timeout = 0.5\npolicy = "${policy}"\n`);
    ask('open');
    const { command, ready } = await startServe(['--config', file]);
    await using running = command;
    const env = { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority };
    await using connected = new Running('xev', [], { env });
    await running.untilOutput(/"client-connected","client":\d+,"pid":\d+,"program":"xev"/);
    process.kill(stopped.pid, 'SIGSTOP');
    try {
      ask('guest');
      const failed = (await reload(running, 'reload-failed')) ?? {};
      assert.equal(failed['kind'], 'channel-unavailable');
      assert.match(String(failed['message']), /^the policy can't be changed for clients that are connected: .*; try again, or close them$/);
    } finally {
      process.kill(stopped.pid, 'SIGCONT');
    }
    assert.match((await finish('xdpyinfo', [], { env })).stdout, /XTEST/);
    assert.deepEqual(await reload(running, 'reloaded'), { event: 'reloaded', applied: ['policy'], waiting: [] });
    assert.equal(connected.child.exitCode, null);
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
