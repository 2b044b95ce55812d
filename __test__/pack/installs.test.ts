import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertOneSentence, ROOT } from '../support/command.js';
import { finish, type Finished } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { assertTyped } from '../support/typed-use.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { ARTIFACTS, platforms, type Manifest, unpack } from './support/artifacts.js';
import { Registry } from './support/registry.js';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const OWN = `x11bridge-linux-${process.arch}-gnu`;
const FOREIGN = platforms().map((name) => `x11bridge-${name}`).filter((name) => name !== OWN);
/** Long enough for a registry that is slow to answer. */
const INSTALL_LIMIT_MS = 240_000;

/** By name, how to install x11bridge into the folder in which it is called. */
const INSTALLERS: Readonly<Record<string, readonly string[]>> = {
  npm: ['npm', 'install', 'x11bridge', '--no-audit', '--no-fund'],
  pnpm: ['pnpm', 'add', 'x11bridge'],
  yarn: ['yarn', 'add', 'x11bridge', '--non-interactive'],
};

describe('an installation', function () {
  this.timeout(INSTALL_LIMIT_MS);
  let registry: Registry;
  let server: Xvfb;
  before(async () => {
    registry = await Registry.start();
    server = await startXvfb();
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await server.stop();
  });

  /** An empty project whose installers know the registry, and which caches nothing of its packages. */
  function project(): TemporaryFolder {
    const folder = new TemporaryFolder();
    writeFileSync(folder.file('package.json'), JSON.stringify({ name: 'consumer', version: '1.0.0', private: true }));
    writeFileSync(folder.file('.npmrc'), `registry=${registry.url}/\n`);
    writeFileSync(folder.file('.yarnrc'), `registry "${registry.url}"\n`);
    return folder;
  }

  function inside(folder: TemporaryFolder, [program = '', ...args]: readonly string[]): Promise<Finished> {
    const env = { ...process.env, TEMP: folder.path, PATH: `${process.env['TESTED_INSTALLERS'] ?? ''}:${process.env['PATH'] ?? ''}`, npm_config_registry: `${registry.url}/`, CI: '1' };
    return finish(program, args, { cwd: folder.path, env, limitMs: INSTALL_LIMIT_MS });
  }

  async function install(folder: TemporaryFolder, command: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await inside(folder, command);
    assert.equal(code, 0, stdout + stderr);
  }

  const COMMAND = 'node_modules/x11bridge/dist/cli/main.js';
  const carry = (folder: TemporaryFolder) => inside(folder, [process.execPath, COMMAND, 'run', '--host-display', server.display, '--', 'xdpyinfo']);

  async function assertWorks(folder: TemporaryFolder): Promise<void> {
    const { code, stdout, stderr } = await carry(folder);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^vendor string:/m);
  }

  /** Runs a bridge that can't start, runs what it says to run, and expects it to work then. */
  async function assertMends(folder: TemporaryFolder, expected: RegExp): Promise<void> {
    const { code, stderr } = await carry(folder);
    assert.equal(code, 1);
    assertOneSentence(stderr);
    assert.match(stderr, expected);
    const commands = [...stderr.matchAll(/"(npm [^"]+)"/g)].map(([, command]) => command ?? '');
    assert.ok(commands.length > 0, stderr);
    // npm keeps a package whose version is right.
    if (stderr.includes("delete the package's folder")) rmSync(folder.file(`node_modules/${OWN}`), { recursive: true });
    for (const command of commands) await install(folder, command.split(' '));
    await assertWorks(folder);
  }

  for (const [name, command] of Object.entries(INSTALLERS)) {
    it(`by ${name} brings the command, and the addon of this platform alone`, async () => {
      using folder = project();
      await install(folder, command);
      assert.equal((await inside(folder, ['node_modules/.bin/x11bridge', '--version'])).stdout, `${version}\n`);
      await assertWorks(folder);
      await assertTyped(folder.path);
      const places = ['node_modules', 'node_modules/.pnpm'].map((place) => folder.file(place)).filter(existsSync).flatMap((place) => readdirSync(place));
      // The old yarn does not look at the C library.
      const foreign = FOREIGN.filter((other) => name !== 'yarn' || !other.includes(process.arch));
      assert.deepEqual(foreign.filter((other) => places.some((place) => place.startsWith(other))), []);
    });
  }

  it('is run by npx without one', async () => {
    using folder = project();
    const { code, stdout, stderr } = await inside(folder, ['npx', '--yes', '--cache', folder.file('cache'), `x11bridge@${version}`, 'run', '--host-display', server.display, '--', 'xdpyinfo']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^vendor string:/m);
  });

  it('takes little room', async () => {
    using folder = project();
    await install(folder, INSTALLERS['npm'] ?? []);
    const { stdout } = await inside(folder, ['du', '--summarize', '--apparent-size', '--bytes', 'node_modules']);
    assert.ok(Number.parseInt(stdout, 10) <= 10_000_000, stdout);
  });

  it('without optional dependencies names the package that is missing and the command that adds it, which works', async () => {
    using folder = project();
    await install(folder, [...(INSTALLERS['npm'] ?? []), '--omit=optional']);
    await assertMends(folder, new RegExp(`the npm package ${OWN} is not installed`));
  });

  it('that came from another processor says the same', async () => {
    using folder = project();
    const foreign = process.arch === 'x64' ? 'arm64' : 'x64';
    await install(folder, [...(INSTALLERS['npm'] ?? []), `--cpu=${foreign}`]);
    assert.ok(!existsSync(folder.file(`node_modules/${OWN}`)));
    await assertMends(folder, new RegExp(`the npm package ${OWN} is not installed`));
  });

  it('with a damaged addon says so and how to mend it, which works', async () => {
    using folder = project();
    await install(folder, INSTALLERS['npm'] ?? []);
    const [foreign = ''] = FOREIGN;
    using other = await unpack(join(ARTIFACTS, `${foreign}-${version}.tgz`));
    const wrongProcessor = readFileSync(other.file(`package/${foreign.replace('-', '.')}.node`));
    for (const content of [Buffer.alloc(0), Buffer.from('no addon'), wrongProcessor]) {
      writeFileSync(folder.file(`node_modules/${OWN}/${OWN.replace('-', '.')}.node`), content);
      await assertMends(folder, new RegExp(`the addon in the npm package ${OWN} could not be loaded \\(.+\\)`));
    }
  });

  it('with an addon of another version refuses it and says how to mend it, which works', async () => {
    using folder = project();
    await install(folder, INSTALLERS['npm'] ?? []);
    const path = folder.file(`node_modules/${OWN}/package.json`);
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
    writeFileSync(path, JSON.stringify({ ...manifest, version: '0.0.1', main: 'other.js', exports: './other.js' }));
    writeFileSync(folder.file(`node_modules/${OWN}/other.js`), `exports.version = () => '0.0.1';`);
    // npm's own note of what is installed, which it believes unless a folder is newer by the clock.
    rmSync(folder.file('node_modules/.package-lock.json'), { force: true });
    await assertMends(folder, new RegExp(`the npm package ${OWN} is of version 0\\.0\\.1, but x11bridge of ${version.replaceAll('.', '\\.')}`));
  });

  for (const [system, cpu, node] of [['darwin', 'arm64', 'darwin'], ['win32', 'x64', 'win32']] as const) {
    it(`works on ${system} for types, imports and the doctor`, async () => {
      using folder = project();
      await install(folder, [...(INSTALLERS['npm'] ?? []), `--os=${system}`, `--cpu=${cpu}`]);
      assert.deepEqual(platforms().filter((name) => existsSync(folder.file(`node_modules/x11bridge-${name}`))), []);
      await assertTyped(folder.path);
      // Everything but the system's name is Linux here; that no addon is there is as on the real one.
      writeFileSync(folder.file('other.cjs'), `Object.defineProperty(process, 'platform', { value: '${node}' }); delete process.getuid;`);
      writeFileSync(folder.file('use.mjs'), `import { startBridge } from 'x11bridge'; const { error } = await startBridge({ hostDisplay: ':0' }); console.log(error.kind, error.message);`);
      const { stdout } = await inside(folder, [process.execPath, '--require', './other.cjs', 'use.mjs']);
      assert.match(stdout, new RegExp(`^addon-missing x11bridge starts bridges on Linux .* this is ${node}-`));
      const examined = await inside(folder, [process.execPath, '--require', './other.cjs', COMMAND, 'doctor', '--json']);
      assert.equal((JSON.parse(examined.stdout) as { checks: { name: string; verdict: string }[] }).checks.find(({ name }) => name === 'platform')?.verdict, 'fault');
    });
  }
});
