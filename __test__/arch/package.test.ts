import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly engines: Record<string, string>;
  readonly exports: Record<string, Record<string, object>>;
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;

describe('the package files', () => {
  it('agree on the version', () => {
    assert.match(read('Cargo.toml'), new RegExp(`^version = "${manifest.version}"$`, 'm'));
    assert.match(read('CHANGELOG.md'), new RegExp(`^## \\[?(${manifest.version}|Unreleased)`, 'm'));
    for (const platform of ['linux-x64-gnu', 'linux-arm64-gnu']) {
      const { version, license, engines } = JSON.parse(read(`npm/${platform}/package.json`)) as Manifest;
      assert.deepEqual({ version, license, engines }, { version: manifest.version, license: manifest.license, engines: manifest.engines });
    }
  });

  it('give types before code', () => {
    for (const conditions of Object.values(manifest.exports['.'] ?? {})) assert.equal(Object.keys(conditions)[0], 'types');
  });

  it('lock no place but the public registry', () => {
    for (const [, url] of read('package-lock.json').matchAll(/"resolved": "([^"]*)"/g)) assert.match(url ?? '', /^https:\/\/registry\.npmjs\.org\//);
  });
});
