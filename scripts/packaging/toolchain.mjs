// Compilers and linkers for every platform, fetched from npm and Debian into the cache; nothing is installed.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptTree, unpack } from '../apt-tree.mjs';
import { cached } from '../cache.mjs';
import { npmPackage } from '../npm-fetch.mjs';
import { oneLine, StepError } from '../setup.mjs';
import { gccFor, hostArch } from './host.mjs';
import { muslLinker } from './musl.mjs';

/** @typedef {import('./platforms.mjs').Platform} Platform */

/** An addon is a shared library of the C library that is there; rustc's own parts of musl are for programs without one. */
const MUSL_RUSTFLAGS = ['-Ctarget-feature=-crt-static', '-Clink-self-contained=no'];

/** Where Debian has a Rust that is new enough, which it builds for web browsers, with standard libraries for other processors. */
const RUST_SUITES = ['bookworm', 'bookworm-security'];
/** The compiler and the libraries that it needs; of its closure, gcc and the C library are the system's own. */
const RUST_PACKAGES = /^(rustc-web|libstd-rust-web-[\d.]+|libstd-rust-web-dev|libllvm\d+|libz3-4|libxml2|libicu\d+|libedit2|libbsd0|libmd0)$/;

/**
 * `args` for cargo, `rustflags` for everything that is compiled.
 * @typedef {{ env: Record<string, string>, objcopy: string, args: readonly string[], rustflags: readonly string[] }} Toolchain
 */

/**
 * What cargo needs to build for a platform, and the programs for what it has built.
 * @param {Platform} platform
 * @param {string} [cpu] of the machine that links, by default this one's
 * @returns {Toolchain}
 * @throws {StepError} when something can't be fetched
 */
export function toolchainFor(platform, cpu = process.arch) {
  const toolchain = crossToolchain(platform);
  const { gcc, linker, objcopy } = gccFor(platform, toolchain, cpu);
  const variable = `CARGO_TARGET_${platform.triple.toUpperCase().replaceAll('-', '_')}_LINKER`;
  if (platform.libc === 'musl') {
    const rust = rustWithSource();
    // Unstable in cargo and rustc, which Debian's compiler is told to bear: there is no standard library for musl to be had.
    const musl = muslLinker(platform, gcc, toolchain);
    const env = { ...musl.env, [variable]: musl.linker, RUSTC: join(rust, 'rustc'), RUSTC_BOOTSTRAP: '1' };
    return { env, objcopy, args: ['-Zbuild-std=std,panic_unwind'], rustflags: [...MUSL_RUSTFLAGS, `--remap-path-prefix=${rust}=/rust`] };
  }
  const env = { [variable]: linker, ...(hasStandardLibrary(platform.triple) ? {} : { RUSTC: debianRustc(platform) }) };
  return { env, objcopy, args: [], rustflags: [] };
}

/**
 * The folder of a gcc with the C library that addons are linked with.
 * @param {Platform} platform
 */
function crossToolchain(platform) {
  const [name, version] = platform.crossToolchain;
  // The gcc for glibc links for musl as well.
  const triple = platform.triple.replace('musl', 'gnu');
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

/**
 * Debian's rustc with the source of its standard library.
 * @returns {string} the folder with `rustc`
 */
function rustWithSource() {
  return cached('rustc-with-source', (partial) => {
    const { native, version, wanted } = debianRust(partial);
    unpack(native.download([...wanted, `rust-web-src=${version}`]), partial);
    rmSync(join(partial, 'apt'), { recursive: true });
    writeLauncher(join(partial, 'rustc'));
  });
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
