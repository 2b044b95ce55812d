import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertOneSentence, COMMAND, ROOT, x11bridge } from '../support/command.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';

const HOST = ['--host-display', ':0'];

describe('the command line', () => {
  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await x11bridge(['--version']), { code: 0, signal: null, stdout: `${version}\n`, stderr: '' });
  });

  it('explains itself and each command on stdout', async () => {
    for (const args of [['--help'], ['run', '--help'], ['serve', '--help'], ['host', '--help'], ['vm', '--help'], ['config', '--help'], ['config', 'show', '--help'], ['config', 'check', '--help'], ['doctor', '--help']]) {
      const { code, stdout, stderr } = await x11bridge(args);
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^Usage: x11bridge/);
      assert.match(stdout, /Exit codes: /);
    }
  });

  it('lists every option of the README in the help of the commands', async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const flagsUnder = (heading: string): string[] => {
      const section = readme.slice(readme.indexOf(`\n### ${heading}`) + 1).split('\n### ')[0] ?? '';
      return [...section.matchAll(/^\| `(--[a-z0-9-]+)/gm)].map(([, flag]) => flag ?? '');
    };
    const common = flagsUnder('Options of `run` and `serve`');
    assert.ok(common.length >= 9, `the README's table has ${common.length} options`);
    const own = flagsUnder('`x11bridge vm');
    assert.ok(own.includes('--share'));
    for (const [command, flags] of [['run', common], ['serve', common], ['vm', [...common, ...own]]] as const) {
      const { stdout } = await x11bridge([command, '--help']);
      const listed = [...stdout.matchAll(/^ {2}(--[a-z0-9-]+)/gm)].map(([, flag]) => flag).filter((flag) => !['--help', '--json', '--config'].includes(flag ?? ''));
      assert.deepEqual(listed.toSorted(), flags.toSorted());
    }
  });

  it('does not load the addon for the version, the help or wrong usage', async () => {
    using folder = new TemporaryFolder();
    const hook = folder.file('hook.cjs');
    writeFileSync(hook, `process.on('exit', () => console.log('loaded', Object.keys(require.cache).join(' ')))`);
    for (const args of [['--version'], ['--help'], ['serve', '--spin', 'x']]) {
      const { stdout } = await x11bridge(args, { env: { NODE_OPTIONS: `--require=${hook}` } });
      assert.match(stdout, /loaded .*dist\/cli\/main\.js/);
      assert.doesNotMatch(stdout, /dist\/native\/binding|\.node\b/);
    }
  });

  it('fails with one sentence when its output cannot be written, but not when nobody reads on', async () => {
    const full = openSync('/dev/full', 'w');
    try {
      for (const args of [['--version'], ['config', 'show'], ['completion', 'bash']]) {
        const { code, stderr } = await x11bridge(args, { stdio: ['ignore', full, 'pipe'] });
        assert.equal(code, 1);
        assertOneSentence(stderr);
        assert.match(stderr, /ENOSPC/);
      }
    } finally {
      closeSync(full);
    }
    const { code, stderr } = await finish('bash', ['-c', `'${process.execPath}' '${COMMAND}' config schema | head -c 0; exit \${PIPESTATUS[0]}`]);
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('shows the help and ends with 2 when no command is named', async () => {
    const { code, stdout, stderr } = await x11bridge([]);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^Usage: x11bridge/);
  });

  const wrong: readonly (readonly string[])[] = [
    ['dance'],
    ['--loud'],
    ['serve', '--loud'],
    ['serve', '--dispaly', ':1'],
    ['serve', 'extra'],
    ['run'],
    ['config', 'dance'],
    ['config', 'check'],
    ['config', 'show', 'extra'],
    ['serve', '--config'],
    ['run', '--'],
    ['vm', '--interactive', '--', 'true'],
    ['vm', '--memory', '1G', '--', 'true'],
    ['vm'],
    ['run', '--loud', 'true'],
    ['serve', '--host-display'],
    ['serve', '--host-display', ''],
    ['serve', '--host-display', 'not a display'],
    ['serve', '--host-display', ':'],
    ['serve', '--host-display', ':x'],
    ['serve', '--host-display', ':99999999999'],
    ['serve', ...HOST, '--display', '1'],
    ['serve', ...HOST, '--display', ':59536'],
    ['serve', ...HOST, '--display', ':-1'],
    ['serve', ...HOST, '--display', ''],
    ['serve', ...HOST, '--channel', 'pigeon'],
    ['serve', ...HOST, '--spin', '0'],
    ['serve', ...HOST, '--spin', '1001'],
    ['serve', ...HOST, '--spin', '5ms'],
    ['serve', ...HOST, '--host-timeout', '0'],
    ['serve', ...HOST, '--host-timeout', '1e3'],
    ['serve', ...HOST, '--clients-max', '0'],
    ['serve', ...HOST, '--clients-max', '65537'],
    ['serve', ...HOST, '--clients-max', '-1'],
    ['serve', ...HOST, '--clients-max', '1e2'],
    ['serve', ...HOST, '--runtime-dir', 'relative'],
    ['serve', ...HOST, '--runtime-dir', ''],
    ['serve', ...HOST, '--host-xauthority', ''],
    ['serve', ...HOST, '--log-level', 'loud'],
    ['run', ...HOST, '--display', 'x', '--', 'true'],
  ];
  for (const args of wrong) {
    it(`refuses "${args.join(' ')}" with exit code 2 and one sentence`, async () => {
      const { code, stdout, stderr } = await x11bridge(args);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assertOneSentence(stderr);
    });
  }

  it('says what to do when no X server is named', async () => {
    const { code, stderr } = await x11bridge(['serve']);
    assert.equal(code, 2);
    assertOneSentence(stderr);
    assert.match(stderr, /set DISPLAY, or name the host display/);
  });

  it('names the option as it is written on the command line', async () => {
    assert.match((await x11bridge(['serve', ...HOST, '--clients-max', 'many'])).stderr, /^x11bridge: --clients-max must be .*, not "many"$/m);
  });

  it('leads to the help of the command that was meant', async () => {
    for (const [args, command] of [[['run'], 'run'], [['serve', 'extra'], 'serve'], [['config', 'check'], 'config check'], [['top', '--loud'], 'top']] as const) {
      assert.match((await x11bridge(args)).stderr, new RegExp(`; see x11bridge ${command} --help\n$`));
    }
    assert.match((await x11bridge(['dance'])).stderr, /; see x11bridge --help\n$/);
  });

  it('proposes the option that was meant', async () => {
    assert.match((await x11bridge(['serve', '--dispaly', ':1'])).stderr, /Did you mean --display\?/);
  });
});
