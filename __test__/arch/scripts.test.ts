import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { evaluate } from './support/evaluate.js';

describe('the closing line', () => {
  it('counts what was skipped only when something was', async () => {
    assert.equal(await evaluate('tally.mjs', 'm.closingLine({ passed: 3, failed: 0, skipped: 0 })'), '3 passed, 0 failed');
    assert.equal(await evaluate('tally.mjs', 'm.closingLine({ passed: 3, failed: 1, skipped: 2 })'), '3 passed, 1 failed, 2 skipped');
  });

  it('counts a part that crashed or ran nothing as failed', async () => {
    const failed = async (counts: string, endedWell: boolean): Promise<unknown> => evaluate('tally.mjs', `m.honest(${counts}, ${endedWell}).failed`);
    assert.equal(await failed('{ passed: 5, failed: 0, skipped: 0 }', true), 0);
    assert.equal(await failed('{ passed: 5, failed: 0, skipped: 0 }', false), 1);
    assert.equal(await failed('{ passed: 0, failed: 0, skipped: 4 }', true), 1);
    assert.equal(await failed('{ passed: 5, failed: 2, skipped: 0 }', false), 2);
  });
});

describe('.ci/run', () => {
  /** Runs it over a project whose `npm` prints what the test says. */
  async function run(test: string, lint: string, vm = 'echo "0 passed, 0 failed, 1 skipped"'): Promise<{ code: number | null; lastLine: string | undefined }> {
    using folder = new TemporaryFolder();
    mkdirSync(folder.file('.ci'));
    writeFileSync(folder.file('.ci/run'), readFileSync(join(ROOT, '.ci/run')));
    writeFileSync(folder.file('npm'), `#!/bin/sh\ncase $3 in test) ${test};; test:vm) ${vm};; test:pack) echo "1 passed, 0 failed";; lint) ${lint};; esac\n`);
    chmodSync(folder.file('npm'), 0o755);
    const { code, stdout } = await finish('bash', [folder.file('.ci/run')], { env: { ...process.env, PATH: `${folder.path}:${process.env['PATH'] ?? ''}` } });
    return { code, lastLine: stdout.trimEnd().split('\n').at(-1) };
  }

  it('adds up the tests, those in virtual machines, those of the packages and the lint', async () => {
    assert.deepEqual(await run('echo "10 passed, 0 failed"', 'echo "3 passed, 0 failed"', 'echo "7 passed, 0 failed"'), { code: 0, lastLine: '21 passed, 0 failed' });
    assert.deepEqual(await run('echo noise; echo "10 passed, 0 failed, 2 skipped"', 'echo "3 passed, 0 failed"'), { code: 0, lastLine: '14 passed, 0 failed, 3 skipped' });
  });

  it('fails when one of them fails', async () => {
    assert.deepEqual(await run('echo "9 passed, 0 failed"', 'echo "3 passed, 0 failed"', 'echo "6 passed, 1 failed"; exit 1'), { code: 1, lastLine: '19 passed, 1 failed' });
    assert.deepEqual(await run('echo "9 passed, 1 failed"; exit 1', 'echo "3 passed, 0 failed"'), { code: 1, lastLine: '13 passed, 1 failed, 1 skipped' });
    assert.deepEqual(await run('echo "9 passed, 0 failed"', 'echo "2 passed, 1 failed"; exit 1'), { code: 1, lastLine: '12 passed, 1 failed, 1 skipped' });
  });

  it('fails when one never got to its own count', async () => {
    assert.deepEqual(await run('echo broken; exit 1', 'echo "3 passed, 0 failed"'), { code: 1, lastLine: '4 passed, 1 failed, 1 skipped' });
    assert.deepEqual(await run('echo "5 passed, 0 failed"', 'true'), { code: 1, lastLine: '6 passed, 1 failed, 1 skipped' });
  });
});

describe('set-up', () => {
  it('tells a user who is not root which line installs the missing packages, and why they are needed', async () => {
    using folder = new TemporaryFolder();
    // A PATH with little more than Node, and a dpkg-query that knows no package.
    for (const name of ['cargo', 'apt-get', 'dpkg-query']) writeFileSync(folder.file(name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const code = `process.getuid = () => 1000; const { setup, runScript } = await import(${JSON.stringify(`file://${ROOT}/scripts/setup.mjs`)}); await runScript(() => setup({ debian: ['xserver'] }));`;
    const { code: exit, stderr } = await finish(process.execPath, ['--input-type=module', '--eval', code], { env: { PATH: folder.path } });
    assert.equal(exit, 1);
    assert.match(stderr, /^ {2}xvfb: \S+/m);
    assert.match(stderr, /^ {2}sudo apt-get update && sudo apt-get install --yes --no-install-recommends .*\bxvfb\b/m);
  });

  it('knows a package and a reason for every group that it is asked for', async () => {
    const groups = (await evaluate('debian-packages.mjs', 'm.DEBIAN_PACKAGES')) as Record<string, { name: string; why: string }[]>;
    const packages = Object.values(groups).flat();
    assert.ok(packages.every(({ name, why }) => /^[a-z0-9.+-]+$/.test(name) && why.length > 5));
    assert.equal(new Set(packages.map(({ name }) => name)).size, packages.length);
  });
});
