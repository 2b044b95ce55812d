// Building on a machine of the other processor, as far as this one can show it.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { evaluate } from '../arch/support/evaluate.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';

const LIBRARY = `#[unsafe(no_mangle)]
pub extern "C" fn length() -> usize { std::thread::spawn(|| std::fs::read("/etc/hostname").map_or(0, |text| text.len())).join().unwrap_or(0) }`;

describe('a machine that builds packages', () => {
  it('takes gcc for the other processor from Debian where npm has none that runs there', async () => {
    assert.deepEqual(await evaluate('packaging/host.mjs', `[m.debianGroups('x64'), m.debianGroups('arm64')]`), [['fetch'], ['fetch', 'cross']]);
  });

  it('is told when it is of no processor that packages are built on', async () => {
    const message = await evaluate('packaging/host.mjs', `(() => { try { return m.hostArch('riscv64'); } catch (error) { return error.message; } })()`);
    assert.equal(message, 'Packages are built on x64 or arm64, and this is riscv64; "npm run build" builds for this machine.');
  });

  it('links with glibc 2.17 or older by a gcc of Debian as well', async function () {
    // Debian's gcc goes by this name on x64 too; elsewhere it would be the cross compiler's, whose Rust may not be there.
    if (process.arch !== 'x64') this.skip();
    using folder = new TemporaryFolder();
    const platform = await evaluate('packaging/platforms.mjs', `m.PLATFORMS.find(({ name }) => name === 'linux-x64-gnu')`);
    const env = (await evaluate('packaging/toolchain.mjs', `m.toolchainFor(${JSON.stringify(platform)}, 'arm64').env`)) as Record<string, string>;
    const linker = env['CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER'] ?? '';
    writeFileSync(folder.file('library.rs'), LIBRARY);
    const compiled = await finish('rustc', ['--edition=2024', '--crate-type=cdylib', `-Clinker=${linker}`, '-o', folder.file('library.so'), folder.file('library.rs')]);
    assert.equal(compiled.code, 0, compiled.stderr);
    const { stdout } = await finish('readelf', ['--wide', '--version-info', folder.file('library.so')]);
    const minors = [...stdout.matchAll(/\bName: GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    assert.ok(minors.length > 0 && minors.every((minor) => minor <= 17), minors.join(' '));
  });
});
