import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { finish } from '../support/processes.js';
import type { TemporaryFolder } from '../support/temporary.js';
import { ARTIFACTS, platforms, tarballs, unpack, type Manifest } from './support/artifacts.js';

const ROOT_KB_MAX = 300;
const PLATFORM_KB_MAX = 2000;
const GLIBC_MAX = [2, 17];
/** Pages of 64 KiB are the largest that Linux has on a processor; x64 has one size only. */
const SEGMENT_ALIGNMENT: Readonly<Record<string, number>> = { arm64: 0x1_0000, x64: 0x1000 };
const MACHINE: Readonly<Record<string, string>> = { arm64: 'AArch64', x64: 'Advanced Micro Devices X86-64' };
/** What glibc consisted of in 2.17, and gcc's unwinder: every system with a Node has them. */
const LIBRARIES = /^(lib(c|dl|pthread|rt|m)\.so\.\d|libgcc_s\.so\.1|ld-linux-(x86-64|aarch64)\.so\.\d)$/;

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

async function readelf(flag: string, file: string): Promise<string> {
  const { code, stdout, stderr } = await finish('readelf', ['--wide', flag, file]);
  assert.deepEqual([code, stderr], [0, '']);
  return stdout;
}

describe('the packed packages', () => {
  it('are the root package and one for each platform, all of one version', () => {
    const names = ['x11bridge', ...platforms().map((name) => `x11bridge-${name}`)];
    assert.deepEqual(tarballs().toSorted(), names.map((name) => join(ARTIFACTS, `${name}-${version}.tgz`)).toSorted());
  });

  it('are small', () => {
    for (const tarball of tarballs()) {
      const limit = tarball.includes('linux') ? PLATFORM_KB_MAX : ROOT_KB_MAX;
      const size = statSync(tarball).size / 1000;
      assert.ok(size <= limit, `${tarball} has ${size} kB`);
    }
  });
});

describe('the packed root package', () => {
  let folder: TemporaryFolder;
  let manifest: Manifest;
  before(async () => {
    folder = await unpack(join(ARTIFACTS, `x11bridge-${version}.tgz`));
    manifest = JSON.parse(readFileSync(folder.file('package/package.json'), 'utf8')) as Manifest;
  });
  after(() => folder[Symbol.dispose]());

  it('takes the addon of each platform as an optional dependency of exactly its own version', () => {
    assert.deepEqual(manifest['optionalDependencies'], Object.fromEntries(platforms().map((name) => [`x11bridge-${name}`, version])));
  });

  it('runs nothing when it is installed, and keeps to itself what is for a checkout', () => {
    for (const field of ['scripts', 'devDependencies', 'os', 'cpu', 'napi']) assert.ok(!(field in manifest), field);
  });

  it('contains what users need and nothing else', () => {
    const files = readdirSync(folder.file('package'), { recursive: true, encoding: 'utf8' }).filter((file) => statSync(folder.file(`package/${file}`)).isFile());
    assert.deepEqual(files.filter((file) => !/^dist\/.*\.(m?js|d\.m?ts)$|^dist\/man\/x11bridge\.1$|^systemd\/x11bridge@\.(service|socket)$|^[^/]*\.(md|json)$|^LICENSE-/.test(file)), []);
    const sources = files.filter((file) => /\.m?js$/.test(file)).map((file) => file.replace(/^dist/, 'ts').replace(/js$/, 'ts'));
    assert.deepEqual(sources.filter((file) => !existsSync(join(ROOT, file))), []);
    assert.ok(files.includes('dist/cli/main.js') && files.includes('LICENSE-MIT') && files.includes('README.md'));
  });
});

for (const platform of platforms()) {
  describe(`the packed package for ${platform}`, () => {
    let folder: TemporaryFolder;
    const [, cpu = '', libc] = platform.split('-');
    let addon: string;
    before(async () => {
      folder = await unpack(join(ARTIFACTS, `x11bridge-${platform}-${version}.tgz`));
      addon = folder.file(`package/x11bridge.${platform}.node`);
    });
    after(() => folder[Symbol.dispose]());

    it('contains the addon, its licences and those of what is in it', () => {
      const files = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'THIRD-PARTY-NOTICES.md', 'package.json', `x11bridge.${platform}.node`];
      assert.deepEqual(readdirSync(folder.file('package')).toSorted(), files);
    });

    it('is for its platform only, and runs nothing when it is installed', () => {
      const manifest = JSON.parse(readFileSync(folder.file('package/package.json'), 'utf8')) as Manifest;
      assert.deepEqual([manifest['os'], manifest['cpu'], manifest['libc']], [['linux'], [cpu], [libc === 'gnu' ? 'glibc' : libc]]);
      assert.deepEqual([manifest.version, 'scripts' in manifest], [version, false]);
    });

    it('has notices for every crate that is linked, by the lock file', async () => {
      const notices = readFileSync(folder.file('package/THIRD-PARTY-NOTICES.md'), 'utf8');
      const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
      const named = [...notices.matchAll(/^## (\S+) (\S+)$/gm)];
      assert.ok(named.length > 10);
      for (const [, crate, its] of named) assert.ok(lock.includes(`name = "${crate}"\nversion = "${its}"`), `${crate} ${its}`);
      for (const crate of ['napi', 'rustix', 'libc']) assert.ok(named.some(([, name]) => name === crate), crate);
      assert.doesNotMatch(notices, /^## x11bridge/m);
    });

    it('is for the right processor', async () => {
      assert.ok((await readelf('--file-header', addon)).includes(`Machine:                           ${MACHINE[cpu]}`));
    });

    if (libc === 'musl') it('needs the C library alone, by the name that every musl takes for itself', async () => {
      assert.deepEqual([...(await readelf('--dynamic', addon)).matchAll(/Shared library: \[([^\]]+)\]/g)].map(([, name]) => name), ['libc.so']);
      assert.doesNotMatch(await readelf('--version-info', addon), /GLIBC/);
    });
    else it('needs no symbol that glibc 2.17 lacks, and no other library', async () => {
      const versions = [...(await readelf('--version-info', addon)).matchAll(/\bName: GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [Number(major), Number(minor)]);
      assert.ok(versions.length > 0);
      const [major = 0, minor = 0] = GLIBC_MAX;
      assert.deepEqual(versions.filter(([its = 0, part = 0]) => its > major || (its === major && part > minor)), []);
      const libraries = [...(await readelf('--dynamic', addon)).matchAll(/Shared library: \[([^\]]+)\]/g)].map(([, name]) => name ?? '');
      assert.deepEqual(libraries.filter((name) => !LIBRARIES.test(name)), []);
    });

    it('has segments that fit the largest pages of its processor', async () => {
      const alignments = [...(await readelf('--segments', addon)).matchAll(/^ {2}LOAD .* (0x[0-9a-f]+)$/gm)].map(([, alignment]) => Number(alignment));
      assert.ok(alignments.length > 0);
      for (const alignment of alignments) assert.equal(alignment % (SEGMENT_ALIGNMENT[cpu] ?? Infinity), 0, `aligned to ${alignment}`);
    });

    it('is stripped, and its debug information lies aside', async () => {
      const sections = await readelf('--sections', addon);
      assert.doesNotMatch(sections, /\.debug_|\.symtab/);
      const debug = join(ARTIFACTS, 'debug', `x11bridge.${platform}.node.debug`);
      assert.ok(existsSync(debug));
      assert.match(await readelf('--sections', debug), /\.debug_info/);
      const buildId = async (file: string): Promise<string | undefined> => /Build ID: ([0-9a-f]{40})/.exec(await readelf('--notes', file))?.[1];
      assert.equal(await buildId(addon), await buildId(debug));
      assert.ok(await buildId(addon));
    });

    it('does not tell where it was built', () => {
      const bytes = readFileSync(addon);
      for (const place of [ROOT, process.env['HOME'] ?? ROOT]) assert.ok(place === '/' || !bytes.includes(`${place}/`), place);
    });
  });
}
