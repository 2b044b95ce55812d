// What `npm run build:all` does when it can't.

import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { eventually, finish, Running, type Finished } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { ARTIFACTS } from './support/artifacts.js';

const IS_ROOT = process.getuid?.() === 0;
const LIMIT_MS = 300_000;

const SCRIPT = join(ROOT, 'scripts/build-all.mjs');

function buildAll(env: NodeJS.ProcessEnv): Promise<Finished> {
  return finish(process.execPath, [SCRIPT], { env: { ...process.env, ...env }, limitMs: LIMIT_MS });
}

/** An environment in which a shell script stands for a program. */
function withProgram(folder: TemporaryFolder, name: string, script: string): NodeJS.ProcessEnv {
  writeFileSync(folder.file(name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { PATH: `${folder.path}:${process.env['PATH'] ?? ''}` };
}

/** Whether a process is there that is no zombie. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
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
    const packages = before();
    assertSentence(await buildAll(withProgram(folder, 'cargo', 'echo "no compiler today" >&2; exit 101')), /^this command failed \(exit code \d+\): /);
    assert.deepEqual(before(), packages);
  });

  it('without a linker for another processor says what could not be unpacked', async () => {
    using folder = new TemporaryFolder();
    using cache = new TemporaryFolder();
    // As xz-utils fails that has no room, or is not there.
    const env = { ...withProgram(folder, 'xz', 'echo "xz: no such compressor" >&2; exit 1'), XDG_CACHE_HOME: cache.path };
    const packages = before();
    assertSentence(await buildAll(env), /^\S+\.tar\.xz could not be unpacked \(.*no such compressor.*\): check the room on the disk\.$/);
    assert.deepEqual(before(), packages);
    assert.deepEqual(readdirSync(cache.file('x11bridge/build')).filter((name) => name.includes('gcc') || name.includes('partial')), []);
  });

  it('as packages can\'t be packed says which', async () => {
    using folder = new TemporaryFolder();
    const npm = (await finish('sh', ['-c', 'command -v npm'])).stdout.trim();
    const env = withProgram(folder, 'npm', `if [ "$1" = pack ]; then echo 'npm error ENOSPC: no space left on device' >&2; exit 1; fi; exec ${npm} "$@"`);
    const packages = before();
    assertSentence(await buildAll(env), /^npm could not pack \S+ \(npm error ENOSPC: no space left on device\): check the room on the disk\.$/);
    assert.deepEqual(before(), packages);
  });

  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    it(`by ${signal} says that it was interrupted, and leaves no process and no half of anything`, async () => {
      using folder = new TemporaryFolder();
      using cache = new TemporaryFolder();
      const npm = (await finish('sh', ['-c', 'command -v npm'])).stdout.trim();
      const started = folder.file('pid');
      // Stops half way through what is fetched.
      const script = `if [ "$1" = pack ]; then : > "$5/half"; echo $$ > '${started}.part'; mv '${started}.part' '${started}'; exec sleep 600; fi; exec ${npm} "$@"`;
      const env = { ...process.env, ...withProgram(folder, 'npm', script), XDG_CACHE_HOME: cache.path };
      const packages = before();
      await using building = new Running(process.execPath, [SCRIPT], { env, limitMs: LIMIT_MS });
      await eventually('something is being fetched', () => existsSync(started) || building.child.exitCode !== null, LIMIT_MS);
      const pid = Number(readFileSync(started, 'utf8'));
      assert.ok(existsSync(`${ARTIFACTS}.partial`));
      assert.notDeepEqual(readdirSync(cache.file('x11bridge/build')), []);
      building.child.kill(signal);
      const result = await building.finished();
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr.trimEnd().split('\n').at(-1) ?? '', /^Interrupted: nothing was built, and the packages that were there before are as they were\.$/);
      assert.ok(!runs(pid));
      assert.deepEqual(before(), packages);
      assert.deepEqual(readdirSync(cache.file('x11bridge/build')), []);
    });
  }

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
