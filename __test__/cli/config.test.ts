import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCHEMA, SETTING_NAMES } from '../../dist/config/schema.js';
import { assertOneSentence, ROOT, startServe, x11bridge } from '../support/command.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb } from '../support/xvfb.js';

describe('the configuration', () => {
  let folder: TemporaryFolder;
  let file: string;
  before(() => {
    folder = new TemporaryFolder();
    file = folder.file('config.toml');
  });
  after(() => folder[Symbol.dispose]());

  it('is shown with the origin of each value, as a file that passes the check', async () => {
    writeFileSync(file, 'spin = "off"\n');
    const env = { X11BRIDGE_CONFIG: file, X11BRIDGE_LOG_LEVEL: 'info', DISPLAY: ':77' };
    const { code, stdout, stderr } = await x11bridge(['config', 'show', '--clients-max', '3'], { env });
    assert.deepEqual([code, stderr], [0, '']);
    const line = (text: string): RegExp => new RegExp(`^${text}$`, 'm');
    assert.match(stdout, line(`spin = "off" +# ${file}:1`));
    assert.match(stdout, line('log-level = "info" +# \\$X11BRIDGE_LOG_LEVEL'));
    assert.match(stdout, line('clients-max = 3 +# --clients-max'));
    assert.match(stdout, line('# host-display = ":77" +# default: \\$DISPLAY'));
    writeFileSync(folder.file('shown.toml'), stdout);
    assert.deepEqual(await x11bridge(['config', 'check', folder.file('shown.toml')]), { code: 0, signal: null, stdout: `${folder.file('shown.toml')}: no faults\n`, stderr: '' });
  });

  it('is shown to programs as JSON', async () => {
    writeFileSync(file, '\nhost-timeout = 9\n');
    const { stdout } = await x11bridge(['config', 'show', '--json', '--config', file]);
    const shown = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(shown['host-timeout'], { value: 9, origin: { from: 'file', file, line: 2 } });
    assert.deepEqual(shown['host-display'], { value: null, origin: { from: 'default' } });
    assert.deepEqual(Object.keys(shown), SETTING_NAMES.map((name) => SCHEMA[name].key));
  });

  it('is checked: every fault on a line of its own, and exit code 1', async () => {
    writeFileSync(file, 'spin = 0\nclients-max = 3\nfoo = 1\n');
    const { code, stdout, stderr } = await x11bridge(['config', 'check', file]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.deepEqual(stderr.split('\n').map((line) => line.slice(0, `x11bridge: ${file}:1: spin must be`.length)), [`x11bridge: ${file}:1: spin must be`, `x11bridge: ${file}:3: there is no `, '']);
  });

  it('with a fault keeps the bridge from starting, in one sentence with the place', async () => {
    writeFileSync(file, 'clients-max = 3\nspin = "of"\n');
    for (const args of [['serve'], ['run', '--', 'true'], ['config', 'show']]) {
      const [command = '', ...rest] = args;
      const { code, stdout, stderr } = await x11bridge([command, ...(command === 'config' ? rest : []), '--config', file, ...(command === 'config' ? [] : rest)]);
      assert.deepEqual([code, stdout], [1, ''], stderr);
      assertOneSentence(stderr);
      assert.ok(stderr.includes(`${file}:2: spin must be `), stderr);
    }
  });

  it('is obeyed by serve: a file says which display it carries clients to', async () => {
    await using server = await startXvfb();
    writeFileSync(file, `host-display = "${server.display}"\nchannel = "loopback"\n`);
    const { command, ready } = await startServe(['--config', file]);
    await using _ = command;
    assert.equal(ready.channel, 'loopback');
    assert.equal((await finish('xdpyinfo', [], { env: { ...process.env, DISPLAY: ready.display, XAUTHORITY: ready.xauthority } })).code, 0);
  });

  it('warns of a variable that has no effect', async () => {
    const { code, stderr } = await x11bridge(['config', 'show'], { env: { X11BRIDGE_SPINN: 'off' } });
    assert.equal(code, 0);
    assert.match(stderr, /^x11bridge: warn: X11BRIDGE_SPINN is no setting/);
  });

  it('has a schema for editors', async () => {
    const { code, stdout } = await x11bridge(['config', 'schema']);
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as { additionalProperties: boolean }).additionalProperties, false);
  });

  it('is documented as the schema has it', async () => {
    const { code, stderr } = await finish(process.execPath, [join(ROOT, 'scripts/docs.mjs'), '--check'], { cwd: ROOT });
    assert.deepEqual([code, stderr], [0, '']);
  });
});
