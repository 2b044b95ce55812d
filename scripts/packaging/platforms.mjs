// The platforms that there are packages for.

/**
 * @typedef {object} Platform
 * @property {string} name in the packages' names: operating system, processor, C library
 * @property {'arm64' | 'x64'} cpu as Node names it
 * @property {import('../apt-tree.mjs').DebianArch} debian the processor as Debian names it
 * @property {'gnu' | 'musl'} libc
 * @property {string} triple as Rust names it
 * @property {readonly [name: string, version: string]} crossToolchain the npm package with a gcc for its processor, whose C library is glibc
 *   2.17 or older
 */

/** @type {readonly Platform[]} */
const GLIBC_PLATFORMS = [
  {
    name: 'linux-arm64-gnu',
    cpu: 'arm64',
    debian: 'arm64',
    libc: 'gnu',
    triple: 'aarch64-unknown-linux-gnu',
    crossToolchain: ['@napi-rs/cross-toolchain-x64-target-aarch64', '1.0.3'],
  },
  {
    name: 'linux-x64-gnu',
    cpu: 'x64',
    debian: 'amd64',
    libc: 'gnu',
    triple: 'x86_64-unknown-linux-gnu',
    crossToolchain: ['@napi-rs/cross-toolchain-x64-target-x86_64', '1.0.0'],
  },
];

/** The same processors with musl, whose addons are linked by the same compilers. @type {readonly Platform[]} */
const MUSL_PLATFORMS = GLIBC_PLATFORMS.map((platform) => ({
  ...platform,
  name: platform.name.replace('gnu', 'musl'),
  libc: 'musl',
  triple: platform.triple.replace('gnu', 'musl'),
}));

/** The names of those that most people need, and that are built quickly. */
export const USUAL = GLIBC_PLATFORMS.map(({ name }) => name);

/** @type {readonly Platform[]} */
export const PLATFORMS = [...GLIBC_PLATFORMS, ...MUSL_PLATFORMS];
