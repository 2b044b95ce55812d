import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { BridgeStatus } from '../../dist/control/protocol.js';
import { assertOneSentence, exists, jsonLines, startX11bridge, x11bridge } from '../support/command.js';
import { eventually } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb } from '../support/xvfb.js';

const DISPLAY = ['--host-display', ':0'];

describe('x11bridge host', () => {
  it('prints the arguments that QEMU needs, and removes its socket at SIGTERM', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.file('gpu,1.sock');
    await using command = startX11bridge(['host', '--socket', socket, ...DISPLAY]);
    const [, args] = await command.untilOutput(/^-chardev (.*)$/m);
    assert.match(args ?? '', /^socket,id=x11bridge,path=\S*gpu,,1\.sock -device vhost-user-test-device-pci,chardev=x11bridge,virtio-id=16,num_vqs=2,/);
    assert.match(args ?? '', / -chardev socket,id=x11bridge-shm,path=\S*gpu,,1\.sock\.shm -device vhost-user-test-device-pci,chardev=x11bridge-shm,virtio-id=26,num_vqs=2,/);
    assert.deepEqual([exists(socket), exists(`${socket}.shm`)], [true, true]);
    command.child.kill('SIGTERM');
    const { code, stderr } = await command.finished();
    assert.deepEqual([code, stderr, exists(socket), exists(`${socket}.shm`)], [0, '', false, false]);
  });

  it('offers no /dev/shm when it is not to', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.file('gpu.sock');
    await using command = startX11bridge(['host', '--socket', socket, '--dev-shm', '0', ...DISPLAY]);
    const [, args] = await command.untilOutput(/^-chardev (.*)$/m);
    assert.doesNotMatch(args ?? '', /shm/);
    assert.deepEqual([exists(socket), exists(`${socket}.shm`)], [true, false]);
  });

  it('writes a line of JSON for each event, and goes on when a virtual machine hangs up', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.file('gpu.sock');
    await using command = startX11bridge(['host', '--json', '--socket', socket, ...DISPLAY]);
    await command.untilOutput(/"ready"/);
    for (let guest = 1; guest <= 2; guest++) {
      const machine = connect(socket);
      await eventually('the event', () => jsonLines(command.stdout).filter(({ event }) => event === 'guest-connected').length === guest);
      machine.destroy();
      await eventually('the event', () => jsonLines(command.stdout).filter(({ event }) => event === 'guest-disconnected').length === guest);
    }
    command.child.kill('SIGINT');
    const { code, stdout } = await command.finished();
    const [ready, connected, ...rest] = jsonLines(stdout);
    assert.deepEqual([code, ready?.['event'], ready?.['socket'], (ready?.['qemuArguments'] as string[] | undefined)?.length], [0, 'ready', socket, 8]);
    assert.deepEqual(connected, { event: 'guest-connected', pid: process.pid });
    assert.equal(rest.at(-1)?.['event'], 'closed');
  });

  it('ends what says no word of the protocol, and nothing else', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.file('gpu.sock');
    await using command = startX11bridge(['host', '--json', '--socket', socket, ...DISPLAY]);
    await command.untilOutput(/"ready"/);
    connect(socket).on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: nobody\r\n\r\n');
    await command.untilOutput(/"guest-disconnected","reason":"a request of the virtual machine monitor can't be carried out/);
    connect(socket).end();
    await eventually('the event', () => jsonLines(command.stdout).filter(({ event }) => event === 'guest-connected').length === 2);
  });

  it('is not held up by a virtual machine that stops in the middle of a request', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.file('gpu.sock');
    await using command = startX11bridge(['host', '--json', '--socket', socket, ...DISPLAY]);
    await command.untilOutput(/"ready"/);
    connect(socket).on('error', () => undefined).write('half');
    await command.untilOutput(/"guest-connected"/);
    command.child.kill('SIGTERM');
    assert.equal((await command.finished()).code, 0);
  });

  it('with a policy is looked at by the path of its socket, and takes a changed one by a reload', async () => {
    await using server = await startXvfb();
    using folder = new TemporaryFolder();
    const [socket, file] = [folder.file('gpu.sock'), folder.file('config.toml')];
    const configure = (policy: string): void => writeFileSync(file, `host-display = "${server.display}"\npolicy = "${policy}"\n`);
    configure('guest');
    await using command = startX11bridge(['host', '--json', '--socket', socket, '--config', file]);
    await command.untilOutput(/"ready"/);
    await eventually('it can be asked', () => exists(`${socket}.control`));
    const status = JSON.parse((await x11bridge(['status', '--json', socket])).stdout) as BridgeStatus;
    assert.deepEqual([status.pid, status.display, status.hostDisplay, status.clients], [command.pid, socket, server.display, []]);
    assert.equal((await x11bridge(['reload', socket])).stdout, 'nothing has changed\n');
    configure('isolated');
    command.child.kill('SIGHUP');
    await command.untilOutput(/"event":"reloaded","applied":\["policy"\],"waiting":\[\]/);
    configure('of nobody');
    const refused = await x11bridge(['reload', socket]);
    assert.equal(refused.code, 1);
    assertOneSentence(refused.stderr);
    command.child.kill('SIGTERM');
    const { code, stderr } = await command.finished();
    assert.deepEqual([code, exists(socket), exists(`${socket}.control`)], [0, false, false], stderr);
  });

  it('without one reads what it writes again on SIGHUP, and does not end by that', async () => {
    using folder = new TemporaryFolder();
    const file = folder.file('config.toml');
    writeFileSync(file, 'host-display = ":0"\n');
    await using command = startX11bridge(['host', '--json', '--socket', folder.file('gpu.sock'), '--config', file]);
    await command.untilOutput(/"ready"/);
    writeFileSync(file, 'host-display = ":1"\nlog-level = "info"\npolicy = "guest"\n');
    command.child.kill('SIGHUP');
    await command.untilOutput(/"event":"reloaded","applied":\["log-level"\],"waiting":\["host-display","policy"\]/);
    await command.untilOutput(/info: the configuration was read again: log-level changed/, 'stderr');
    command.child.kill('SIGTERM');
    assert.equal((await command.finished()).code, 0);
  });

  it('with a policy that there is not does not start, and leaves nothing', async () => {
    using folder = new TemporaryFolder();
    const { code, stderr } = await x11bridge(['host', '--socket', folder.file('gpu.sock'), '--policy', '/none.toml', ...DISPLAY], { env: { TMPDIR: folder.path } });
    assert.equal(code, 1);
    assertOneSentence(stderr);
    assert.deepEqual(readdirSync(folder.path), []);
  });

  for (const [what, args, sentence] of [
    ['no socket', [], /^x11bridge: there is no socket for QEMU to connect to: name one with --socket\n$/],
    ['an empty socket', ['--socket', ''], /--socket must be the path of a socket, not ""/],
    ['a path that is too long', ['--socket', `/tmp/${'x'.repeat(99)}`], /--socket must be a path of at most 103 bytes, and \/tmp\/x+ has 104/],
    ['no contexts', ['--socket', '/tmp/x', '--contexts-max', '0'], /--contexts-max must be a number from 1 to 65536, not 0/],
    ['half a MiB', ['--socket', '/tmp/x', '--dev-shm', '0.5'], /--dev-shm must be a number from 0 to 1048576, not 0.5/],
    ['too many contexts', ['--socket', '/tmp/x', '--contexts-max', '65537'], /--contexts-max must be/],
    ['an option of others', ['--socket', '/tmp/x', '--channel', 'auto'], /unknown option '--channel'/],
  ] as const) {
    it(`calls ${what} wrong usage`, async () => {
      const { code, stdout, stderr } = await x11bridge(['host', ...args, ...DISPLAY]);
      assert.deepEqual([code, stdout], [2, '']);
      assertOneSentence(stderr);
      assert.match(stderr, sentence);
    });
  }

  it('needs a display from somewhere', async () => {
    const { code, stderr } = await x11bridge(['host', '--socket', '/tmp/x']);
    assert.equal(code, 2);
    assert.match(stderr, /set DISPLAY, or name one with --host-display/);
  });

  it('says in one sentence why it has no socket', async () => {
    using folder = new TemporaryFolder();
    const refusal = async (socket: string): Promise<string> => {
      const { code, stderr } = await x11bridge(['host', '--socket', socket, ...DISPLAY]);
      assert.equal(code, 1);
      assertOneSentence(stderr);
      return stderr;
    };
    assert.match(await refusal(folder.file('nowhere/gpu.sock')), /no such file or directory; make its directory/);
    writeFileSync(folder.file('file'), 'precious');
    assert.match(await refusal(folder.file('file')), /file exists; name a path where nothing is/);
    const server = createServer().listen(folder.file('taken'));
    assert.match(await refusal(folder.file('taken')), /taken is in use by another process; end that, or name another socket/);
    server.close();
    mkdirSync(folder.file('closed'));
    chmodSync(folder.file('closed'), 0o500);
    // Root may write everywhere.
    if (process.getuid?.() !== 0) assert.match(await refusal(folder.file('closed/gpu.sock')), /permission denied; get permission to write there/);
  });
});
