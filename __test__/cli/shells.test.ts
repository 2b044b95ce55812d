// The manual page and the completions, in the shells and programs that read them.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProgram } from '../../dist/cli/program.js';
import { commandTree, everyCommand } from '../../dist/cli/command-tree.js';
import { assertOneSentence, ROOT, x11bridge } from '../support/command.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';

const COMMANDS = everyCommand(commandTree(createProgram({ code: 0 })));

describe('the completions', () => {
  let folder: TemporaryFolder;
  before(async () => {
    folder = new TemporaryFolder();
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout, stderr } = await x11bridge(['completion', shell]);
      assert.deepEqual([code, stderr], [0, '']);
      writeFileSync(folder.file(shell), stdout);
    }
    writeFileSync(folder.file('a file'), '');
  });
  after(() => folder[Symbol.dispose]());

  /** What bash proposes for the last of some words. */
  async function inBash(...words: readonly string[]): Promise<string[]> {
    const script = `source ./bash; COMP_WORDS=(x11bridge ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _x11bridge; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, stdout, stderr } = await finish('bash', ['--norc', '-c', script], { cwd: folder.path });
    assert.deepEqual([code, stderr], [0, '']);
    return stdout.split('\n').filter(Boolean).toSorted();
  }

  /** What fish proposes for a line. */
  async function inFish(line: string): Promise<string[]> {
    const { code, stdout, stderr } = await finish('fish', ['--no-config', '-c', `source ./fish; complete -C '${line}'`], { cwd: folder.path, env: { ...process.env, HOME: folder.path } });
    assert.deepEqual([code, stderr], [0, '']);
    return stdout.split('\n').flatMap((proposal) => proposal.split('\t', 1)[0] || []).toSorted();
  }

  it('propose commands', async () => {
    assert.deepEqual(await inBash('s'), ['serve', 'status']);
    assert.deepEqual(await inFish('x11bridge s'), ['serve', 'status']);
    assert.deepEqual(await inBash('config', ''), ['--help', 'check', 'schema', 'show']);
    assert.deepEqual(await inFish('x11bridge config '), ['check', 'schema', 'show']);
  });

  it('propose options and their words', async () => {
    assert.deepEqual(await inBash('serve', '--clients'), ['--clients-max']);
    assert.deepEqual(await inFish('x11bridge serve --clients'), ['--clients-max']);
    assert.deepEqual(await inBash('serve', '--log-level', 'de'), ['debug']);
    assert.deepEqual(await inFish('x11bridge serve --log-level de'), ['debug']);
    assert.deepEqual(await inBash('config', 'show', '--spin', ''), ['auto', 'off']);
    assert.deepEqual(await inBash('serve', '--clients-max', ''), []);
  });

  it('propose files where a file is wanted, and programs where one is to run', async () => {
    assert.deepEqual(await inBash('serve', '--config', 'a'), ['a file']);
    assert.ok((await inBash('run', '--', 'xdpyinf')).includes('xdpyinfo'));
  });

  it('are read by zsh without complaint', async () => {
    const script = 'autoload -U compinit; compinit -D; source ./zsh; print $_comps[x11bridge]; whence -w _x11bridge_serve _x11bridge_config_show';
    const { code, stdout, stderr } = await finish('zsh', ['-f', '-c', script], { cwd: folder.path });
    assert.deepEqual([code, stdout, stderr], [0, '_x11bridge\n_x11bridge_serve: function\n_x11bridge_config_show: function\n', '']);
  });

  it('are not there for other shells', async () => {
    for (const shell of ['tcsh', 'toString']) {
      const { code, stdout, stderr } = await x11bridge(['completion', shell]);
      assert.deepEqual([code, stdout], [2, '']);
      assertOneSentence(stderr);
    }
  });
});

describe('the manual page', () => {
  const page = join(ROOT, 'dist/man/x11bridge.1');

  it('is formatted without a warning', async () => {
    const { code, stderr } = await finish('groff', ['-man', '-Tascii', '-ww', '-z', page]);
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('has every command with every option and its exit codes', () => {
    const text = readFileSync(page, 'utf8').replaceAll(String.raw`\-`, '-');
    const leaves = COMMANDS.filter(({ commands }) => commands.length === 0);
    assert.ok(leaves.length >= 12);
    for (const { path, options } of leaves) {
      const section = text.split(`\n.SS ${path.join(' ')}\n`)[1]?.split('\n.SS ')[0] ?? '';
      for (const { flag } of options) assert.ok(section.includes(`\\fB${flag}`), `${path.join(' ')} ${flag}`);
      assert.ok(section.includes('Exit codes:'), path.join(' '));
    }
  });

  it('is named in the manifest', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { man: string; files: string[] };
    assert.equal(join(ROOT, manifest.man), page);
    assert.ok(manifest.files.includes('dist/man/*.1'));
  });
});
