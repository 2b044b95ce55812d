import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, chownSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BridgeStatus } from '../../dist/control/protocol.js';
import { assertOneSentence, displayFiles, exists, jsonLines, ROOT, startX11bridge, x11bridge } from '../support/command.js';
import { finish, Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

const NOBODY = 65_534;

describe('several bridges', () => {
  let one: Xvfb;
  let other: Xvfb;
  let folder: TemporaryFolder;
  let file: string;
  before(async () => {
    [one, other] = await Promise.all([startXvfb(), startXvfb({ screen: '640x480x24' })]);
    folder = new TemporaryFolder();
    file = folder.file('config.toml');
  });
  after(async () => {
    await Promise.all([one.stop(), other.stop()]);
    folder[Symbol.dispose]();
  });

  /** Two bridges: to the one server under no policy, to the other over loopback under this one. */
  const configure = (policy: string): void =>
    writeFileSync(file, `spin = "off"\n\n[[bridge]]\nhost-display = "${one.display}"\n\n[[bridge]]\nhost-display = "${other.display}"\nchannel = "loopback"\npolicy = "${policy}"\n`);
  const serve = (args: readonly string[] = []): Running => startX11bridge(['serve', '--json', '--config', file, '--runtime-dir', folder.path, ...args], { limitMs: 100_000 });

  interface Ready {
    readonly display: string;
    readonly channel: string;
    readonly xauthority: string;
  }

  async function ready(command: Running, count = 2): Promise<Ready[]> {
    await command.untilOutput(new RegExp(`(?:"event":"ready"[^]*){${count}}\n`));
    return jsonLines(command.stdout).filter(({ event }) => event === 'ready') as unknown as Ready[];
  }

  const info = async ({ display, xauthority }: Pick<Ready, 'display' | 'xauthority'>): Promise<string> => (await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: display, XAUTHORITY: xauthority } })).stdout;

  it('run in one process from tables of the configuration, each with its own server, channel and policy', async () => {
    configure('guest');
    await using command = serve();
    const [first, second] = await ready(command);
    assert.ok(first && second);
    assert.notEqual(first.display, second.display);
    assert.deepEqual([first.channel, second.channel], ['socket', 'loopback']);
    const [open, guarded] = [await info(first), await info(second)];
    assert.ok(open.includes('XTEST') && !guarded.includes('XTEST'));
    assert.ok(guarded.includes('640x480') && !open.includes('640x480'));
    // Each can be asked, and each event says whose it is.
    for (const { display } of [first, second]) {
      const { stdout } = await x11bridge(['status', '--json', display, '--runtime-dir', folder.path]);
      const status = JSON.parse(stdout) as BridgeStatus;
      assert.deepEqual([status.display, status.pid, status.stats.clientsTotal], [display, command.pid, 1]);
      await command.untilOutput(new RegExp(`"event":"client-closed","display":"${display}"`));
    }
    command.child.kill('SIGTERM');
    assert.equal((await command.finished()).code, 0);
    const left = [first, second].flatMap(({ display, xauthority }) => [...Object.values(displayFiles(display)), xauthority]);
    assert.deepEqual(left.filter(exists), []);
  });

  it('each take what a reload changes for them, and a fault changes none', async () => {
    configure('guest');
    await using command = serve();
    const [first, second] = await ready(command);
    assert.ok(first && second);
    configure('open');
    const { stdout } = await x11bridge(['reload', second.display, '--runtime-dir', folder.path]);
    assert.equal(stdout, 'applied: policy\n');
    assert.ok((await info(second)).includes('XTEST'));
    assert.equal((await x11bridge(['reload', first.display, '--runtime-dir', folder.path])).stdout, 'nothing has changed\n');
    // A bridge more is none of theirs.
    appendFileSync(file, '[[bridge]]\n');
    assert.equal((await x11bridge(['reload', first.display, '--runtime-dir', folder.path])).stdout, 'waiting for the next start: bridge\n');
    configure('nothing of the kind');
    command.child.kill('SIGHUP');
    await command.untilOutput(new RegExp(`"reload-failed","display":"${second.display}","kind":"invalid-policy"`));
    assert.ok((await info(second)).includes('XTEST'));
    writeFileSync(file, `host-display = "${one.display}"\n`);
    const gone = await x11bridge(['reload', second.display, '--runtime-dir', folder.path]);
    assert.equal(gone.code, 1);
    assertOneSentence(gone.stderr);
    assert.ok((await info(second)).includes('XTEST'));
  });

  it('start all or none, and no flag can name the display of all', async () => {
    writeFileSync(file, `host-display = "${one.display}"\n[[bridge]]\n[[bridge]]\nsocket = "/proc/none"\n`);
    const { code, stdout, stderr } = await serve().finished();
    assert.deepEqual([code, /ready/.test(stdout)], [2, false]);
    assertOneSentence(stderr);
    configure('open');
    const named = await serve(['--display', ':4711']).finished();
    assert.equal(named.code, 2);
    assert.equal(named.stderr, "x11bridge: --display can't be that of 2 bridges: leave it out, or name another file with --config\n");
    const shown = await x11bridge(['config', 'show', '--config', file]);
    assert.match(shown.stdout, /\n\n\[\[bridge\]\]\nhost-display = ":\d+" +# [^\n]+:4\n\n\[\[bridge\]\]\nhost-display = ":\d+" +# [^\n]+:7\nchannel = "loopback" +# [^\n]+:8\npolicy = "open" +# [^\n]+:9\n$/);
    writeFileSync(folder.file('shown.toml'), shown.stdout);
    assert.equal((await x11bridge(['config', 'check', folder.file('shown.toml')])).code, 0);
  });

  it('of two users stand beside each other, and neither reaches the other', async function () {
    // Only root can become somebody else.
    if (process.getuid?.() !== 0) this.skip();
    using theirs = new TemporaryFolder();
    // Where that user can read it: a checkout may lie in a private folder.
    const copy = theirs.file('package');
    for (const part of ['dist', 'package.json', 'Cargo.toml', ...['commander', 'neverthrow', 'smol-toml'].map((name) => `node_modules/${name}`)]) cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    chmodSync(theirs.path, 0o755);
    const runtime = theirs.file('run');
    mkdirSync(runtime, { mode: 0o700 });
    chownSync(runtime, NOBODY, NOBODY);
    const args = [join(copy, 'dist/cli/main.js'), 'serve', '--json', '--host-display', one.display, '--runtime-dir', runtime];
    const env = { PATH: process.env['PATH'], HOME: runtime, X11BRIDGE_CONFIG: '/dev/null' };
    await using nobodys = new Running(process.execPath, args, { env, cwd: '/', uid: NOBODY, gid: NOBODY, limitMs: 60_000 });
    const [away] = await ready(nobodys, 1);
    writeFileSync(file, `host-display = "${one.display}"\n`);
    await using ours = serve();
    const [here] = await ready(ours, 1);
    assert.ok(away && here);
    assert.notEqual(away.display, here.display);
    assert.ok((await info(here)).includes('vendor') && (await info(away)).includes('vendor'));
    const stranger = (program: string, more: NodeJS.ProcessEnv, ...rest: string[]) => finish(program, rest, { env: { ...env, ...more }, cwd: '/', uid: NOBODY, gid: NOBODY });
    assert.notEqual((await stranger('xdpyinfo', { DISPLAY: here.display, XAUTHORITY: here.xauthority })).code, 0);
    assert.notEqual((await stranger('xdpyinfo', { DISPLAY: here.display, XAUTHORITY: away.xauthority })).code, 0);
    assert.equal((await stranger('xdpyinfo', { DISPLAY: away.display, XAUTHORITY: away.xauthority })).code, 0);
  });
});
