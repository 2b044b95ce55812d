import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BridgeErrorKind } from 'x11bridge';
import { ROOT } from '../support/command.js';
import { Consumer } from '../support/consumer.js';
import { startXvfb } from '../support/xvfb.js';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

describe('the README', () => {
  it('has an example that compiles, runs, and prints what it promises', async () => {
    await using server = await startXvfb();
    using consumer = await Consumer.create('module');
    for (const types of ['@types', 'undici-types']) symlinkSync(join(ROOT, 'node_modules', types), consumer.file(`node_modules/${types}`));
    consumer.write('example.ts', example('ts'));
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--skipLibCheck', 'example.ts'];
    const compiled = await consumer.run(join(ROOT, 'node_modules/.bin/tsc'), options);
    assert.equal(compiled.code, 0, compiled.stdout);
    const { code, stdout, stderr } = await consumer.run(process.execPath, ['example.js'], server.env);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^client 1 after \d+ requests: [^\n]+\n$/);
  });

  it('lists every kind of error', () => {
    // An object, so that the compiler misses none.
    const kinds: Record<BridgeErrorKind, true> = {
      'invalid-option': true,
      'invalid-config': true,
      'invalid-policy': true,
      'channel-unavailable': true,
      'display-taken': true,
      'no-free-display': true,
      'socket-taken': true,
      'permission-denied': true,
      'runtime-dir': true,
      os: true,
      'addon-missing': true,
      'vm-missing': true,
      'vm-failed': true,
      aborted: true,
      'not-running': true,
      busy: true,
      internal: true,
    };
    const listed = new Set([...section('The API').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, kind]) => kind));
    for (const kind of Object.keys(kinds)) assert.ok(listed.has(kind), kind);
    // Each has a section with its remedy, and there is none for a kind that isn't.
    const remedies = [...readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').matchAll(/^## ([a-z-]+)\n\n(?=\S)/gm)].map(([, kind]) => kind);
    assert.deepEqual(remedies.toSorted(), Object.keys(kinds).toSorted());
  });

  it('names only scripts and files that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const guides = readdirSync(join(ROOT, 'docs')).filter((file) => file.endsWith('.md'));
    for (const document of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...guides.map((file) => `docs/${file}`)]) {
      const text = readFileSync(join(ROOT, document), 'utf8');
      for (const [, script = ''] of text.matchAll(/\bnpm run ([\w:]+)/g)) assert.ok(scripts[script], `${document}: npm run ${script}`);
      for (const [, file = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) assert.ok(existsSync(join(ROOT, dirname(document), file)), `${document}: ${file}`);
    }
    for (const [name, command] of Object.entries(scripts)) {
      assert.ok(existsSync(join(ROOT, command.replace('node ', ''))), `${name}: ${command}`);
    }
  });
});

function example(language: string): string {
  const code = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'm').exec(README)?.[1];
  assert.ok(code, `no example in ${language}`);
  return code;
}

function section(title: string): string {
  return README.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
}
