// What others who check packages say about ours.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { finish } from '../support/processes.js';
import { tarballs } from './support/artifacts.js';

const linter = (name: string): string => join(process.env['TESTED_LINTERS'] ?? '', name);

for (const tarball of tarballs()) {
  describe(`the tarball ${tarball.split('/').at(-1) ?? ''}`, () => {
    it('leaves publint nothing to say', async () => {
      const { code, stdout, stderr } = await finish(linter('publint'), ['run', tarball, '--strict']);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /All good!/);
    });
  });
}

describe('the types of the root package', () => {
  it('resolve for every kind of importer, by attw', async () => {
    const tarball = tarballs().find((path) => !path.includes('linux')) ?? '';
    const { code, stdout, stderr } = await finish(linter('attw'), [tarball, '--profile', 'node16', '--no-emoji', '--format', 'ascii'], { limitMs: 120_000 });
    assert.equal(code, 0, stdout + stderr);
  });
});
