import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Examined } from '../../dist/doctor/examine.js';
import { x11bridge } from '../support/command.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

async function examined(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; works: boolean; checks: Record<string, Examined> }> {
  const { code, stdout, stderr } = await x11bridge(['doctor', '--json', ...args], { env });
  assert.equal(stderr, '');
  const { works, checks } = JSON.parse(stdout) as { works: boolean; checks: Examined[] };
  return { code, works, checks: Object.fromEntries(checks.map((check) => [check.name, check])) };
}

describe('doctor', () => {
  let server: Xvfb;
  before(async () => {
    server = await startXvfb({ auth: true });
  });
  after(() => server.stop());

  it('tries a bridge with a client through it, and ends with 0 when that works', async () => {
    for (const channel of ['socket', 'loopback']) {
      const { code, works, checks } = await examined(['--channel', channel], server.env);
      assert.deepEqual([code, works], [0, true], JSON.stringify(checks));
      assert.match(checks['bridge']?.cause ?? '', new RegExp(`with channel ${channel}`));
      assert.match(checks['x-server']?.cause ?? '', /answers through the bridge: .*X\.Org/);
      // A plain Xvfb has no DRI3.
      assert.match(checks['extensions']?.cause ?? '', new RegExp(`^not there over ${channel}: DRI3 \\([^,]*$`));
    }
  });

  it('writes for people what each check found, without colours where no terminal is', async () => {
    const { code, stdout, stderr } = await x11bridge(['doctor'], { env: server.env });
    assert.deepEqual([code, stderr], [0, '']);
    for (const line of stdout.trimEnd().split('\n').slice(0, -2)) assert.match(line, /^(ok|note) +\S|^ +→ \S/);
    assert.match(stdout, /\n\nThe bridge works here\.\n$/);
    assert.ok(!stdout.includes('\u001B'));
  });

  it('ends with 1 when no server answers, for one reason or another', async () => {
    using folder = new TemporaryFolder();
    const listener = createServer((socket) => socket.end('I am no X server\n')).listen(folder.file('X0'));
    try {
      const absent = await examined(['--host-display', '/does/not/exist']);
      assert.deepEqual([absent.code, absent.works, absent.checks['x-server']?.verdict], [1, false, 'fault']);
      const noCookie = await examined(['--host-display', server.display, '--host-xauthority', '/dev/null']);
      assert.match(noCookie.checks['x-server']?.remedy ?? '', /Xauthority/);
      const stranger = await examined(['--host-display', folder.file('X0')]);
      assert.deepEqual([stranger.code, stranger.checks['x-server']?.verdict], [1, 'fault']);
    } finally {
      listener.close();
    }
  });

  it('ends with 1 for a faulty configuration, and looks at the rest all the same', async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.file('config.toml'), 'spin = 0');
    const { code, checks } = await examined(['--config', folder.file('config.toml')]);
    assert.equal(code, 1);
    assert.ok(checks['configuration']?.cause.startsWith(`${folder.file('config.toml')}:1: spin must be`));
    assert.equal(checks['platform']?.verdict, 'ok');
  });

  for (const platform of ['darwin', 'win32']) {
    it(`says on ${platform} that bridging is for Linux guests`, async () => {
      using folder = new TemporaryFolder();
      writeFileSync(folder.file('other.cjs'), `Object.defineProperty(process, 'platform', { value: '${platform}' }); delete process.getuid;`);
      const env = { NODE_OPTIONS: `--require=${folder.file('other.cjs')}` };
      const { code, checks } = await examined([], env);
      assert.equal(code, 1);
      assert.match(checks['platform']?.remedy ?? '', /Linux guest/);
      const { code: started, stderr } = await x11bridge(['serve', '--host-display', ':0', '--runtime-dir', folder.path], { env });
      assert.equal(started, 1);
      assert.match(stderr, /^x11bridge: x11bridge starts bridges on Linux .*, and this is (darwin|win32)-/);
    });
  }

  it('names what to install when the addon does not load', async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.file('broken.cjs'), `const { Module } = require('node:module'); const load = Module._load; Module._load = function (name, ...rest) { if (name.endsWith('.node')) throw new Error('broken'); return load.call(this, name, ...rest); };`);
    const { code, checks } = await examined(['--host-display', ':0'], { NODE_OPTIONS: `--require=${folder.file('broken.cjs')}` });
    assert.equal(code, 1);
    assert.deepEqual([checks['addon']?.verdict, checks['bridge']?.verdict], ['fault', 'fault']);
    assert.match(checks['addon']?.remedy ?? '', /^run "npm run build" in it$/);
  });
});
