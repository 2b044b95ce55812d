// `x11bridge vm` as a command among others: what goes in and out, and how it ends.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before } from 'mocha';
import { COMMAND, startX11bridge, type CommandOptions } from '../support/command.js';
import { eventually, type Finished, type Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { clientEnv } from '../x11/support/stage.js';
import { inTheWholeRun } from './support/extent.js';
import { CACHE } from './support/guest.js';
import { BOOT_LIMIT_MS } from './support/place.js';
import { Terminal } from './support/terminal.js';

describe('x11bridge vm', function () {
  this.timeout(2 * BOOT_LIMIT_MS);
  let host: Xvfb;
  let folder: TemporaryFolder;
  before(async () => {
    host = await startXvfb({ auth: true });
    folder = new TemporaryFolder();
  });
  after(async () => {
    await host.stop();
    folder[Symbol.dispose]();
  });

  const env = (): NodeJS.ProcessEnv => ({ ...clientEnv(host.display, host.xauthority, folder.path), ...CACHE });
  const start = (args: readonly string[], options: CommandOptions = {}): Running =>
    startX11bridge(['vm', ...args], { env: env(), cwd: folder.path, limitMs: BOOT_LIMIT_MS, stdio: ['pipe', 'pipe', 'pipe'], ...options });

  it('passes the standard streams and the exit code through, each by itself', async () => {
    const input = randomBytes(3 << 20);
    await using running = start(['--', 'sh', '-c', 'sha256sum; seq 100000; echo "to stderr" >&2; echo again > /dev/stdout; sleep 1000 & exit 7']);
    running.child.stdin?.end(input);
    const { code, stdout, stderr } = await running.finished();
    assert.equal(stderr, 'to stderr\n');
    const [sum, ...rest] = stdout.trimEnd().split('\n');
    assert.equal(sum, `${createHash('sha256').update(input).digest('hex')}  -`);
    assert.equal(rest.length, 100_001);
    assert.equal(rest.at(-1), 'again');
    assert.equal(code, 7);
  });

  it('runs the program as the same user in the same folder, and keeps only what it writes to folders that are shared so', async () => {
    const shared = folder.file('shared');
    mkdirSync(shared);
    writeFileSync(folder.file('here'), 'from outside');
    const script = 'cat here; echo; id -u; pwd; echo $GREETING; echo lost > here; cat here; echo kept > shared/file; echo lost > /usr/x11bridge-test; cat /usr/x11bridge-test';
    await using running = start(['--share', `${shared}:rw`, '--', 'sh', '-c', script], { env: { ...env(), GREETING: 'hello there' } });
    const { code, stdout, stderr } = await running.finished();
    assert.equal(stdout, `from outside\n${process.getuid?.()}\n${folder.path}\nhello there\nlost\nlost\n`);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(readFileSync(`${shared}/file`, 'utf8'), 'kept\n');
    assert.equal(readFileSync(folder.file('here'), 'utf8'), 'from outside');
    assert.ok(!existsSync('/usr/x11bridge-test'));
  });

  it('holds the guest to a policy outside of it, whatever bridge it starts inside', async () => {
    const inner = `"${process.execPath}" "${COMMAND}" run --channel virtgpu --policy open -- xdpyinfo`;
    await using running = start(['--policy', 'guest', '--', 'sh', '-c', `xdpyinfo | grep -c -w -e XTEST -e RENDER; ${inner} | grep -w -e XTEST -e RENDER; echo and xwd; xwd -root -silent >/dev/null || echo refused`]);
    const { code, stdout } = await running.finished();
    assert.deepEqual([code, stdout.replaceAll(' ', '')], [0, '1\nRENDER\nandxwd\nrefused\n']);
  });

  it('gives the program a terminal where it has one itself, with its size and its keys', async () => {
    const script = 'tty; stty size; trap "echo interrupted" INT; trap "stty size" WINCH; echo READY; while ! read line; do :; done; echo "got $line"; exit 4';
    await using terminal = await Terminal.start(['vm', '--', 'sh', '-c', script], env(), BOOT_LIMIT_MS);
    await terminal.running.untilOutput(/^\/dev\/hvc0\r\n33 101\r\nREADY/m);
    await terminal.resize(44, 111);
    await terminal.running.untilOutput(/^44 111/m);
    terminal.type('\x03');
    await terminal.running.untilOutput(/interrupted/);
    terminal.type('some words\r');
    const { code, stdout } = await terminal.running.finished();
    assert.match(stdout, /got some words/);
    assert.equal(code, 4);
  });

  inTheWholeRun(() => {
    it('sends the first signal to the program', async () => {
      const { code, stdout } = await stopped('trap "echo stopped; exit 42" TERM; echo READY; while :; do sleep 0.1; done', ['SIGTERM']);
      assert.deepEqual([code, stdout], [42, 'READY\nstopped\n']);
    });

    it('ends with 128 + n when signal n ended the program', async () => {
      assert.equal((await stopped('echo READY; exec sleep 1000', ['SIGTERM'])).code, 143);
    });

    it('ends the guest at the second signal', async () => {
      assert.equal((await stopped('trap "" TERM; echo READY; sleep 1000', ['SIGTERM', 'SIGTERM'])).code, 143);
    });

    it('ends when nobody reads its output any more', async () => {
      await using running = start(['--', 'sh', '-c', 'echo READY; exec yes']);
      await running.untilOutput(/READY/);
      running.child.stdout?.destroy();
      assert.equal((await running.finished()).code, 141);
    });

    it('leaves no guest behind when it is killed', async () => {
      await using running = start(['--', 'sh', '-c', 'echo READY; exec sleep 1000']);
      await running.untilOutput(/READY/);
      const qemu = childrenOf(running.pid);
      assert.equal(qemu.length, 1);
      running.child.kill('SIGKILL');
      await eventually('QEMU has ended', () => !existsSync(`/proc/${qemu[0]}`));
    });

    it('ends with 127 when there is no such program, and says so', async () => {
      await using running = start(['--', 'no-such-program']);
      const { code, stderr } = await running.finished();
      assert.equal(code, 127);
      assert.match(stderr, /^x11bridge: the command "no-such-program" was not found/);
    });

    it('runs a shell', async () => {
      await using running = start(['--interactive'], { env: { ...env(), SHELL: '/bin/sh' } });
      running.child.stdin?.end('uname -n\nexit 5\n');
      const { code, stdout } = await running.finished();
      assert.match(stdout, /^x11bridge-vm$/m);
      assert.equal(code, 5);
    });

    it('says why a kernel that is none does not start', async () => {
      writeFileSync(folder.file('vmlinuz'), `${'\0'.repeat(0x202)}HdrS${'\0'.repeat(5000)}`);
      await using running = start(['--kernel', folder.file('vmlinuz'), '--', 'true']);
      const { code, stderr } = await running.finished();
      assert.equal(code, 1);
      assert.match(stderr, /^x11bridge: the guest ended without an exit code: [^\n]+\n$/);
    });
  });

  async function stopped(script: string, signals: readonly NodeJS.Signals[]): Promise<Finished> {
    await using running = start(['--', 'sh', '-c', script]);
    await running.untilOutput(/READY/);
    for (const signal of signals) {
      running.child.kill(signal);
      // Two at once would be one.
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return await running.finished();
  }
});

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((child) => child !== '');
}
