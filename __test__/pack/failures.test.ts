// What `npm run build:all` does when it can't.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync, chmodSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { finish, type Finished } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { ARTIFACTS } from './support/artifacts.js';

const IS_ROOT = process.getuid?.() === 0;
const LIMIT_MS = 300_000;

function buildAll(env: NodeJS.ProcessEnv): Promise<Finished> {
  return finish(process.execPath, [join(ROOT, 'scripts/build-all.mjs')], { env: { ...process.env, ...env }, limitMs: LIMIT_MS });
}

/** The last line of stderr is a sentence of the script's own. */
function assertSentence({ code, stderr }: Finished, expected: RegExp): void {
  assert.equal(code, 1, stderr);
  assert.match(stderr.trimEnd().split('\n').at(-1) ?? '', expected);
  assert.doesNotMatch(stderr, /^ +at .*\.mjs:\d+/m);
}

describe('a build that fails', function () {
  this.timeout(LIMIT_MS);
  const before = (): string[] => readdirSync(ARTIFACTS, { recursive: true, encoding: 'utf8' }).map((file) => `${file} ${statSync(join(ARTIFACTS, file)).mtimeMs}`);

  afterEach(() => assert.ok(!existsSync(`${ARTIFACTS}.partial`)));

  it('without a network says so, and leaves the packages that were there', async () => {
    using cache = new TemporaryFolder();
    const packages = before();
    // Nothing listens on that port.
    const env = { XDG_CACHE_HOME: cache.path, npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0', npm_config_cache: cache.file('npm') };
    assertSentence(await buildAll(env), /^the npm package @napi-rs\/cross-toolchain-\S+ could not be fetched: check the network and npm's registry\.$/);
    assert.deepEqual(before(), packages);
    assert.deepEqual(readdirSync(cache.file('x11bridge/build')), []);
  });

  it('on a full disk says so, and leaves no half of a toolchain', async function () {
    using cache = new TemporaryFolder();
    const mounted = IS_ROOT && (await finish('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', cache.path])).code === 0;
    if (!mounted) this.skip(); // only root can make a disk this small
    try {
      const packages = before();
      assertSentence(await buildAll({ XDG_CACHE_HOME: cache.path }), /check the room on the disk|check the network and npm's registry/);
      assert.deepEqual(before(), packages);
      assert.deepEqual(readdirSync(cache.file('x11bridge/build')), []);
    } finally {
      await finish('umount', [cache.path]);
    }
  });

  it('without a working compiler names the command that failed', async () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.file('cargo'), '#!/bin/sh\necho "no compiler today" >&2\nexit 101\n');
    chmodSync(folder.file('cargo'), 0o755);
    const packages = before();
    assertSentence(await buildAll({ PATH: `${folder.path}:${process.env['PATH'] ?? ''}` }), /^this command failed \(exit code \d+\): /);
    assert.deepEqual(before(), packages);
  });

  it('as versions differ names the file, before it builds anything', async () => {
    using copy = new TemporaryFolder();
    for (const name of ['package.json', 'Cargo.toml', 'scripts', 'npm']) cpSync(join(ROOT, name), copy.file(name), { recursive: true });
    const path = copy.file('npm/linux-x64-gnu/package.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"version": "[^"]+"/, '"version": "99.0.0"'));
    const result = await finish(process.execPath, [copy.file('scripts/build-all.mjs')]);
    assertSentence(result, /^npm\/linux-x64-gnu\/package\.json is of version 99\.0\.0, but package\.json of \S+: "npm run release" sets all of them\.$/);
    assert.ok(!existsSync(copy.file('artifacts')));
  });
});
