// The platforms that there are packages for.

/**
 * @typedef {object} Platform
 * @property {string} name in the packages' names: operating system, processor, C library
 * @property {'arm64' | 'x64'} cpu as Node names it
 * @property {import('../apt-tree.mjs').DebianArch} debian the processor as Debian names it
 * @property {string} triple as Rust names it
 * @property {readonly [name: string, version: string]} crossToolchain the npm package with a gcc for its processor, whose C library is glibc
 *   2.17 or older
 */

/** @type {readonly Platform[]} */
export const PLATFORMS = [
  {
    name: 'linux-arm64-gnu',
    cpu: 'arm64',
    debian: 'arm64',
    triple: 'aarch64-unknown-linux-gnu',
    crossToolchain: ['@napi-rs/cross-toolchain-x64-target-aarch64', '1.0.3'],
  },
  {
    name: 'linux-x64-gnu',
    cpu: 'x64',
    debian: 'amd64',
    triple: 'x86_64-unknown-linux-gnu',
    crossToolchain: ['@napi-rs/cross-toolchain-x64-target-x86_64', '1.0.0'],
  },
];
