import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { assertOneSentence, COMMAND, displayFiles, exists, startServe, unusedDisplay, x11bridge } from '../support/command.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

const DISPLAY = unusedDisplay();
const IS_ROOT = process.getuid?.() === 0;

describe('a start that fails', () => {
  let server: Xvfb;
  before(async () => {
    server = await startXvfb();
  });
  after(() => server.stop());

  function assertRefused({ code, stdout, stderr }: { code: number | null; stdout: string; stderr: string }): void {
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assertOneSentence(stderr);
  }

  function assertNothingLeft(folder: string): void {
    const { socket, lock } = displayFiles(DISPLAY);
    assert.deepEqual([socket, lock].filter(exists), []);
    assert.deepEqual(readdirSync(folder), []);
  }

  it('because another server has the display says so, and leaves that server alone', async () => {
    const result = await x11bridge(['serve', '--host-display', server.display, '--display', server.display]);
    assertRefused(result);
    assert.match(result.stderr, new RegExp(`${server.display}\\b.*choose another number`));
    assert.equal((await finish('xdpyinfo', [], { env: server.env })).code, 0);
  });

  it('because somebody listens on the socket without a lock file says so, and leaves that socket alone', async () => {
    const { socket, lock } = displayFiles(DISPLAY);
    const listener = createServer().listen(socket);
    try {
      assertRefused(await x11bridge(['serve', '--host-display', server.display, '--display', DISPLAY]));
      assert.ok(exists(socket));
      assert.ok(!exists(lock));
    } finally {
      await new Promise((resolve) => listener.close(resolve));
    }
  });

  it('because another bridge has the display says so', async () => {
    const { command, ready } = await startServe(['--host-display', server.display]);
    await using _ = command;
    assertRefused(await x11bridge(['serve', '--host-display', server.display, '--display', ready.display]));
    assert.ok(exists(displayFiles(ready.display).socket));
  });

  it('because the runtime directory is open to others names it', async () => {
    using folder = new TemporaryFolder();
    chmodSync(folder.path, 0o755);
    const result = await x11bridge(['serve', '--host-display', server.display, '--display', DISPLAY, '--runtime-dir', folder.path]);
    assertRefused(result);
    assert.ok(result.stderr.includes(folder.path));
    assertNothingLeft(folder.path);
  });

  it('because the runtime directory cannot be written names it, and leaves nothing behind', async function () {
    // Root may write anywhere, unless it gives up that capability.
    const weakened = IS_ROOT ? ['setpriv', '--bounding-set=-dac_override'] : [];
    if (IS_ROOT && (await finish('setpriv', [...weakened.slice(1), 'true'])).code !== 0) this.skip();
    using folder = new TemporaryFolder();
    const inner = folder.file('inner');
    mkdirSync(inner, { mode: 0o500 });
    const [program = '', ...args] = [...weakened, process.execPath, COMMAND, 'serve', '--host-display', server.display, '--display', DISPLAY, '--runtime-dir', inner];
    const result = await finish(program, args);
    assertRefused(result);
    assert.ok(result.stderr.includes(inner), result.stderr);
    assertNothingLeft(inner);
  });

  it('because the disk of the runtime directory is full names it, and leaves nothing behind', async function () {
    using folder = new TemporaryFolder();
    const mounted = IS_ROOT && (await finish('mount', ['-t', 'tmpfs', '-o', 'size=4k,mode=700', 'tmpfs', folder.path])).code === 0;
    if (!mounted) this.skip(); // only root can make a disk this small
    try {
      writeFileSync(folder.file('filler'), Buffer.alloc(4096));
      const args = ['serve', '--host-display', server.display, '--display', DISPLAY, '--runtime-dir', folder.path];
      const result = await x11bridge(args);
      assertRefused(result);
      assert.ok(result.stderr.includes(folder.path), result.stderr);
      const { socket, lock } = displayFiles(DISPLAY);
      assert.deepEqual([socket, lock].filter(exists), []);
      assert.deepEqual(readdirSync(folder.path), ['filler']);
    } finally {
      await finish('umount', [folder.path]);
    }
  });

  it('because the channel that was asked for cannot be had says what is missing, and leaves nothing behind', async () => {
    using folder = new TemporaryFolder();
    const channel = ['serve', '--channel', 'virtgpu', '--display', DISPLAY, '--runtime-dir', folder.path, '--render-node'];
    for (const [node, why] of [['/nonexistent/renderD128', /no such file or directory/], ['/dev/null', /\/dev\/null is no render node/]] as const) {
      const result = await x11bridge([...channel, node]);
      assertRefused(result);
      assert.match(result.stderr, why);
      assertNothingLeft(folder.path);
    }
  });

  it('because no channel leads anywhere says why each does not', async () => {
    const { code, stderr } = await x11bridge(['serve', '--render-node', '/nonexistent/renderD128'], { env: { DISPLAY: '' } });
    assert.equal(code, 2);
    assertOneSentence(stderr);
    assert.match(stderr, /set DISPLAY.*not virtgpu: can't open \/nonexistent\/renderD128.*not vsock: /);
  });

  it('because the addon is missing names the package and the command that mend it', async () => {
    using folder = new TemporaryFolder();
    const hook = folder.file('hook.cjs');
    writeFileSync(hook, `const { Module } = require('module'); const load = Module._load;
      Module._load = (name, ...rest) => { if (name.endsWith('.node') || name.startsWith('x11bridge-')) throw new Error('gone\\nsecond line'); return load(name, ...rest); };`);
    const result = await x11bridge(['serve', '--host-display', ':0'], { env: { NODE_OPTIONS: `--require=${hook}` } });
    assertRefused(result);
    assert.match(result.stderr, /the addon of this checkout could not be loaded \(gone\): run "npm run build" in it$/m);
  });
});

describe('an unexpected failure', () => {
  /** Throws when the bridge has said on stdout that it is ready. */
  const THROW = `const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = (text, ...rest) => { if (text.includes('DISPLAY=')) setImmediate(() => { throw new Error('made up\\nfor this test') }); return write(text, ...rest); };`;

  function withHook(folder: TemporaryFolder, env: NodeJS.ProcessEnv = {}) {
    const hook = folder.file('hook.cjs');
    writeFileSync(hook, THROW);
    return x11bridge(['serve', '--host-display', ':0', '--display', DISPLAY, '--runtime-dir', folder.file('run')], { env: { NODE_OPTIONS: `--require=${hook}`, ...env } });
  }

  it('ends the command with 1 and one sentence, and leaves nothing behind', async () => {
    using folder = new TemporaryFolder();
    const { code, stdout, stderr } = await withHook(folder);
    assert.equal(code, 1);
    assertOneSentence(stderr);
    assert.match(stderr, /made up for this test/);
    assert.match(stdout, new RegExp(`DISPLAY=${DISPLAY}\\b`));
    assert.deepEqual(Object.values(displayFiles(DISPLAY)).filter(exists), []);
    assert.deepEqual(readdirSync(folder.file('run')), []);
  });

  it('shows where it comes from with X11BRIDGE_DEBUG=1', async () => {
    using folder = new TemporaryFolder();
    assert.match((await withHook(folder, { X11BRIDGE_DEBUG: '1' })).stderr, /at .*hook\.cjs:2/);
  });
});
