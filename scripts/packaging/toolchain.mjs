// Compilers and linkers for every platform, fetched from npm and Debian into the cache; nothing is installed.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptTree, unpack } from '../apt-tree.mjs';
import { cached } from '../cache.mjs';
import { npmPackage } from '../npm-fetch.mjs';
import { oneLine, StepError } from '../setup.mjs';
import { gccFor, hostArch } from './host.mjs';

/** @typedef {import('./platforms.mjs').Platform} Platform */

/** Where Debian has a Rust that is new enough, which it builds for web browsers, with standard libraries for other processors. */
const RUST_SUITES = ['bookworm', 'bookworm-security'];
/** The compiler and the libraries that it needs; of its closure, gcc and the C library are the system's own. */
const RUST_PACKAGES = /^(rustc-web|libstd-rust-web-[\d.]+|libstd-rust-web-dev|libllvm\d+|libz3-4|libxml2|libicu\d+|libedit2|libbsd0|libmd0)$/;

/**
 * What cargo needs to build for a platform, and the programs for what it has built.
 * @param {Platform} platform
 * @param {string} [cpu] of the machine that links, by default this one's
 * @returns {{ env: Record<string, string>, objcopy: string }}
 * @throws {StepError} when something can't be fetched
 */
export function toolchainFor(platform, cpu = process.arch) {
  const toolchain = crossToolchain(platform);
  const { linker, objcopy } = gccFor(platform, toolchain, cpu);
  const variable = `CARGO_TARGET_${platform.triple.toUpperCase().replaceAll('-', '_')}_LINKER`;
  const env = { [variable]: linker, ...(hasStandardLibrary(platform.triple) ? {} : { RUSTC: debianRustc(platform) }) };
  return { env, objcopy };
}

/**
 * The folder of a gcc with the C library that addons are linked with.
 * @param {Platform} platform
 */
function crossToolchain(platform) {
  const [name, version] = platform.crossToolchain;
  const { triple } = platform;
  return cached(`gcc-${triple}-${version}`, (folder) => {
    const archive = join(npmPackage(name, version), `${triple}.tar.xz`);
    const { status, stderr } = spawnSync('tar', ['--extract', '--xz', '--file', archive, '--directory', folder], { encoding: 'utf8' });
    if (status !== 0) throw new StepError(`${archive} could not be unpacked (${oneLine(stderr)}): check the room on the disk.`);
  });
}

/**
 * Whether the Rust on this machine builds for a platform already, as rustup's does after "rustup target add".
 * @param {string} triple
 */
function hasStandardLibrary(triple) {
  const folder = execFileSync('rustc', ['--print', 'target-libdir', '--target', triple], { encoding: 'utf8' }).trim();
  return existsSync(folder) && readdirSync(folder).some((file) => file.startsWith('libstd-'));
}

/**
 * Debian's rustc with the standard libraries of this machine and of a platform.
 * @param {Platform} platform
 * @returns {string} the path of a program that is called as rustc is
 */
function debianRustc({ debian, triple }) {
  const folder = cached(`rustc-${triple}`, (partial) => {
    const { native, version, wanted } = debianRust(partial);
    const foreign = new AptTree(join(partial, 'apt-foreign'), debian, RUST_SUITES);
    foreign.update();
    unpack([...native.download(wanted), ...foreign.download([`libstd-rust-web-dev=${version}`])], partial);
    for (const apt of ['apt', 'apt-foreign']) rmSync(join(partial, apt), { recursive: true });
    writeLauncher(join(partial, 'rustc'));
  });
  return join(folder, 'rustc');
}

/** Debian's newest Rust for this machine: where to fetch it, and its packages. @param {string} partial */
function debianRust(partial) {
  const native = new AptTree(join(partial, 'apt'), hostArch(), RUST_SUITES);
  native.update();
  const version = native.versions('rustc-web')[0] ?? '';
  const wanted = native.closure(`rustc-web=${version}`).filter((name) => RUST_PACKAGES.test(name));
  return { native, version, wanted };
}

/** rustc finds its standard libraries by its own place; the libraries that it is linked with have to be shown to it. */
function writeLauncher(/** @type {string} */ path) {
  const script = `#!/bin/sh\nhere=\${0%/*}\nLD_LIBRARY_PATH=$here/usr/lib/${hostArch() === 'amd64' ? 'x86_64' : 'aarch64'}-linux-gnu exec "$here/usr/bin/rustc" "$@"\n`;
  writeFileSync(path, script, { mode: 0o755 });
}
