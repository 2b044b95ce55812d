import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { finish } from '../support/processes.js';
import { evaluate } from './support/evaluate.js';

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
    for (const platform of readdirSync(join(ROOT, 'npm'))) {
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

describe('a release', () => {
  it('sets the version in every file that has it, and dates the changelog', async () => {
    const edits = (await evaluate('packaging/version.mjs', `m.versionEdits('98.7.6', '2031-02-03')`)) as { path: string; text: string }[];
    const texts = Object.fromEntries(edits.map(({ path, text }) => [path, text]));
    const platforms = ['linux-arm64-gnu', 'linux-x64-gnu', 'linux-arm64-musl', 'linux-x64-musl'];
    assert.deepEqual(readdirSync(join(ROOT, 'npm')).toSorted(), platforms.toSorted());
    const files = ['package.json', ...platforms.map((name) => `npm/${name}/package.json`), 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'CHANGELOG.md'];
    assert.deepEqual(Object.keys(texts), files);
    for (const path of files.filter((name) => name.endsWith('package.json'))) assert.equal((JSON.parse(texts[path] ?? '') as Manifest).version, '98.7.6');
    const lock = JSON.parse(texts['package-lock.json'] ?? '') as { version: string; packages: Record<string, { version: string }> };
    assert.deepEqual([lock.version, lock.packages['']?.version], ['98.7.6', '98.7.6']);
    assert.match(texts['CHANGELOG.md'] ?? '', /\n## \[Unreleased\]\n\n## \[98\.7\.6\] - 2031-02-03\n\n### /);
    // Of the crates, exactly the project's own.
    const crates = [...(texts['Cargo.lock'] ?? '').matchAll(/name = "(\S+)"\nversion = "98\.7\.6"\n(?<next>.*)/g)];
    assert.equal(crates.length, readdirSync(join(ROOT, 'crates')).length);
    assert.ok(crates.every(({ groups }) => !groups?.['next']?.startsWith('source')));
    assert.doesNotMatch(texts['Cargo.toml'] ?? '', new RegExp(`path = "crates/[^"]+", version = "${manifest.version.replaceAll('.', '\\.')}"`));
  });

  it('may have a version that a package of others has already', async () => {
    const others = [...read('Cargo.lock').matchAll(/^version = "(.*)"\nsource/gm)].map(([, version = '']) => version);
    const version = others.find((other) => /^\d+\.\d+\.\d+$/.test(other) && other !== manifest.version) ?? '';
    const edits = (await evaluate('packaging/version.mjs', `m.versionEdits('${version}', '2031-02-03')`)) as { path: string; text: string }[];
    const lock = edits.find(({ path }) => path === 'Cargo.lock')?.text ?? '';
    const own = lock.split('\n\n').filter((entry) => entry.includes(`\nversion = "${version}"`) && !entry.includes('\nsource = '));
    assert.equal(own.length, readdirSync(join(ROOT, 'crates')).length);
  });

  it('is refused outside the workflow, with the way to try it', async () => {
    const { ACTIONS_ID_TOKEN_REQUEST_URL: _, ...env } = process.env;
    const { code, stderr } = await finish(process.execPath, [join(ROOT, 'scripts/release.mjs')], { env });
    assert.equal(code, 1);
    assert.match(stderr, /^Packages are published by the release workflow, .*use --dry-run\.\n$/);
  });

  it('takes no argument that has no meaning', async () => {
    for (const args of [['--loud'], ['--dry-run', '--prepare'], ['1.2'], ['v1.2.3'], ['--prepare', '1.2.3', '1.2.4']]) {
      const { code, stdout } = await finish(process.execPath, [join(ROOT, 'scripts/release.mjs'), ...args]);
      assert.deepEqual([code, stdout], [1, ''], args.join(' '));
    }
  });

  const published = readdirSync(join(ROOT, 'crates')).filter((crate) => !/^publish = false$/m.test(read(`crates/${crate}/Cargo.toml`)));

  it('publishes only crates that are of use alone, and what they depend on', () => {
    assert.deepEqual(published.toSorted(), ['cross-domain', 'shmfence', 'sys', 'x11-wire']);
  });

  for (const crate of published) {
    it(`has in the crate ${crate} what it is, the licences, and every public item documented`, async () => {
      const { code, stdout, stderr } = await finish('cargo', ['package', '--list', '--allow-dirty', '--manifest-path', `crates/${crate}/Cargo.toml`], { cwd: ROOT });
      assert.equal(code, 0, stderr);
      const files = stdout.split('\n');
      for (const file of ['README.md', 'LICENSE-MIT', 'LICENSE-APACHE']) assert.ok(files.includes(file), file);
      assert.match(read(`crates/${crate}/Cargo.toml`), /^description = ".+"$/m);
      // The lint of the whole workspace, which npm run lint makes an error.
      assert.match(read(`crates/${crate}/Cargo.toml`), /^\[lints\]\nworkspace = true$/m);
      assert.match(read('Cargo.toml'), /^missing_docs = "(warn|deny)"$/m);
    });
  }
});
