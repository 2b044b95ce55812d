// `top` in a real terminal, that of tmux.

import assert from 'node:assert/strict';
import { assertOneSentence, COMMAND, startServe, x11bridge } from '../support/command.js';
import { eventually, finish, Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

/** A terminal of 160 by 20 with a program in it. */
class Tmux implements AsyncDisposable {
  private constructor(private readonly socket: string) {}

  static async start(folder: TemporaryFolder, command: string): Promise<Tmux> {
    const tmux = new Tmux(folder.file('tmux'));
    await tmux.call('new-session', '-d', '-x', '160', '-y', '20', `${command}; echo "ended with $?"; sleep 600`);
    return tmux;
  }

  async screen(): Promise<string> {
    return this.call('capture-pane', '-p');
  }

  async press(...keys: readonly string[]): Promise<void> {
    await this.call('send-keys', ...keys);
  }

  async shows(pattern: RegExp): Promise<void> {
    await eventually(`the screen shows ${String(pattern)}`, async () => pattern.test(await this.screen()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await finish('tmux', ['-S', this.socket, 'kill-server']);
  }

  private async call(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await finish('tmux', ['-S', this.socket, '-f', '/dev/null', ...args], { env: { ...process.env, TERM: 'xterm' } });
    assert.equal(code, 0, stderr);
    return stdout;
  }
}

describe('top', () => {
  let server: Xvfb;
  before(async () => {
    server = await startXvfb();
  });
  after(() => server.stop());

  it('shows clients live, sorts by a key, closes one, and gives the terminal back', async () => {
    using folder = new TemporaryFolder();
    const { command, ready } = await startServe(['--host-display', server.display, '--runtime-dir', folder.path]);
    await using _ = command;
    const env = { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority };
    await using clock = new Running('xclock', ['-update', '1'], { env });
    await using eyes = new Running('xeyes', [], { env });
    await using terminal = await Tmux.start(folder, `${process.execPath} ${COMMAND} top --runtime-dir ${folder.path}`);
    await terminal.shows(/^display :\d+ -> [^]*^CLIENT .*BYTES\/S[^]*xclock[^]*^left\/right: sort by/m);
    await terminal.shows(/xeyes/);
    // By program, from A to Z.
    await terminal.press('Left', 'Left');
    await terminal.shows(/xclock[^]*xeyes/);
    await terminal.press('r');
    await terminal.shows(/xeyes[^]*xclock/);
    await terminal.press('Down', 'k');
    await terminal.shows(/^close client \d+ \(xeyes\)\? y: yes/m);
    await terminal.press('y');
    await eyes.finished();
    await terminal.shows(/^(?![^]*xeyes)[^]*xclock/);
    assert.equal(clock.child.exitCode, null);
    await terminal.press('q');
    await terminal.shows(/^ended with 0/m);
    assert.doesNotMatch(await terminal.screen(), /xclock/);
  });

  it('ends when its bridge does, with a sentence', async () => {
    using folder = new TemporaryFolder();
    const { command } = await startServe(['--host-display', server.display, '--runtime-dir', folder.path]);
    await using running = command;
    await using terminal = await Tmux.start(folder, `${process.execPath} ${COMMAND} top --runtime-dir ${folder.path}`);
    await terminal.shows(/^display :\d+ -> /m);
    running.child.kill('SIGTERM');
    await terminal.shows(/^x11bridge: the bridge of display :\d+ gave no answer[^]*ended with 1/m);
  });

  it('says what to use where no terminal is', async () => {
    const { code, stdout, stderr } = await x11bridge(['top']);
    assert.deepEqual([code, stdout], [2, '']);
    assertOneSentence(stderr);
    assert.match(stderr, /x11bridge status/);
  });
});
