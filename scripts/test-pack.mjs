// `npm run test:pack`: builds every package, then tests the packages as users get them: what is in them, how they install, and what runs
// from them, on every line of Node and on arm64. `npm run test:pack -- --quick` does what `.ci/run` has time for, and
// `npm run test:pack -- artifacts node-22` only these parts, on what `npm run build:all` has left.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { argv } from 'node:process';
import { buildAll } from './build-all.mjs';
import { npmPackage, npmPrograms } from './npm-fetch.mjs';
import { buildPanicking } from './packaging/addon.mjs';
import { arm64Emulator } from './packaging/emulator.mjs';
import { withInstalled } from './packaging/installed.mjs';
import { muslNode } from './packaging/musl.mjs';
import { NODE_LINES, nodeOf } from './packaging/node-lines.mjs';
import { addonFile, ARTIFACTS } from './packaging/packages.mjs';
import { PLATFORMS, USUAL } from './packaging/platforms.mjs';
import { toolchainFor } from './packaging/toolchain.mjs';
import { ROOT, runScript, setup, StepError } from './setup.mjs';
import { compileTests, mochaTests, rustTests } from './suites.mjs';
import { sum, Tally } from './tally.mjs';
import { setUpVm } from './vm-setup.mjs';
import { KERNELS } from './vm/kernel.mjs';

/** Of the usual tests, those that an installed package has to pass on every Node: the command, and sessions of real X11 programs. */
const INSTALLED_TESTS = ['cli/run', 'cli/serve', 'cli/usage', 'cli/reload', 'x11/libraries'];
/** The Node of npm that emulated tests run in: the oldest line starts fastest. */
const [EMULATED_LINE = ''] = NODE_LINES;
/** Two guests without KVM, in which npm runs. */
const GUESTS_MINUTES_MAX = 30;
/** A build of every addon from nothing, and some that fail. */
const BUILDS_MINUTES_MAX = 120;
/** Crates whose tests are about arm64 as much as about x64; the others' are property tests, which take minutes when emulated. */
const EMULATED_CRATES = ['x11-wire', 'cross-domain', 'x11bridge-session', 'x11bridge-sys', 'x11bridge-display', 'x11bridge-device', 'x11bridge-core'];

/** Where an installation has the command. */
const COMMAND = 'node_modules/x11bridge/dist/cli/main.js';

/** Both kinds of importers, without a bundler or a loader between. */
const IMPORTERS = {
  'import.mjs': `import { startBridge } from 'x11bridge'; if (typeof startBridge !== 'function') process.exit(1);`,
  'require.cjs': `if (typeof require('x11bridge').startBridge !== 'function') process.exit(1);`,
};

/**
 * QEMU 7.2's user mode says yes to madvise(MADV_REMOVE) and does nothing, so a page that is given back keeps its bytes; and it answers the
 * ioctls of virtio-gpu itself, by ENOSYS, where the kernel would say of /dev/null that it has none (ENOTTY). And it gives the kernel twice the
 * room for descriptors that a program gives it, and does not say (MSG_CTRUNC) what it then leaves out itself. Names may be the beginnings of others.
 */
const NOT_EMULATED = ['two_mappings_of_one_file_are_one_memory', 'a_file_that_is_no_render_node', 'descriptors_that_do_not_all_arrive'];

/** @type {Readonly<Record<string, () => Promise<import('./tally.mjs').Counts>>>} */
const PARTS = {
  artifacts: () => mochaTests(['build/pack/artifacts.test.js', 'build/pack/hosts.test.js']),
  reproduction: () => mochaTests(['build/pack/reproduction.test.js', 'build/pack/failures.test.js'], { minutesMax: BUILDS_MINUTES_MAX }),
  installs: () => {
    const env = { TESTED_INSTALLERS: npmPrograms('installers', ['pnpm@12', 'yarn@1.22']), TESTED_LINTERS: npmPrograms('linters', ['publint@0.3', '@arethetypeswrong/cli@0.18']) };
    return mochaTests(['build/pack/installs.test.js', 'build/pack/linters.test.js'], { env });
  },
  ...Object.fromEntries(NODE_LINES.map((line) => [`node-${line}`, () => nodeTests(line)])),
  'bun-deno': runtimeTests,
  'arm64-addon': arm64AddonTests,
  musl: muslTests,
  'arm64-rust': arm64RustTests,
  'arm64-guest': arm64GuestTests,
};

/** Without a second build of everything, and with the running Node for the others. */
const QUICK = ['artifacts', 'installs', 'arm64-addon'];

await runScript(async () => {
  const quick = argv.includes('--quick');
  const chosen = quick ? QUICK : argv.slice(2);
  const unknown = chosen.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) throw new StepError(`There is no part named ${unknown}; the parts are ${Object.keys(PARTS).join(', ')}.`);
  if (quick) process.env['TESTED_PLATFORMS'] = USUAL.join(' ');
  if (chosen.length === 0 || quick) await buildAll(quick ? USUAL : undefined);
  if (!existsSync(ARTIFACTS)) throw new StepError('There are no packages yet: run "npm run build:all" first.');
  await setup({ debian: ['fetch', 'xserver', 'xclients', 'desktop', 'peers'] });
  compileTests();
  const tally = new Tally();
  for (const [name, run] of Object.entries(PARTS).filter(([part]) => chosen.length === 0 || chosen.includes(part))) {
    console.log(`\n── ${name} ──`);
    tally.add(name, await run());
  }
  return tally.close();
});

/**
 * Runs the usual tests on what is installed.
 * @param {string} line of Node
 */
function nodeTests(line) {
  const node = nodeOf(line, process.arch === 'arm64' ? 'arm64' : 'x64');
  return withCommand(node, (command) => {
    const env = { PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`, TESTED_COMMAND: command };
    return mochaTests(INSTALLED_TESTS.map((name) => `build/${name}.test.js`), { env, node: [node] });
  });
}

/** Other runtimes that have Node-API: a few sessions each. */
function runtimeTests() {
  const [bun, deno] = [npmPackage('@oven/bun-linux-x64', '1'), npmPackage('@deno/linux-x64-glibc', '2')];
  return withCommand(process.execPath, (command) => {
    const env = { TESTED_BUN: join(bun, 'bin/bun'), TESTED_DENO: join(deno, 'deno'), TESTED_COMMAND: command };
    return mochaTests(['build/pack/runtimes.test.js'], { env });
  });
}

/**
 * Installs the packages for the time of a test.
 * @template T
 * @param {string} node to import them with
 * @param {(command: string) => Promise<T>} test gets the path of the installed command
 */
function withCommand(node, test) {
  return withInstalled(ARTIFACTS, process.arch, (folder) => {
    for (const [name, code] of Object.entries(IMPORTERS)) {
      writeFileSync(join(folder, name), code);
      execFileSync(node, [name], { cwd: folder, stdio: 'inherit' });
    }
    return test(join(folder, COMMAND));
  });
}

/** The tests of the addon alone, for the packed one of arm64 in a Node for arm64. */
function arm64AddonTests() {
  return addonTests('linux-arm64-gnu', [arm64Emulator(), nodeOf(EMULATED_LINE, 'arm64')]);
}

/** The same in Nodes for musl, of this processor and of an emulated one; and sessions of what is installed in the former. */
async function muslTests() {
  await setup({ debian: ['musl'], build: false });
  const platforms = PLATFORMS.filter(({ libc, cpu }) => libc === 'musl' && (cpu === process.arch || cpu === 'arm64'));
  const counts = [];
  for (const platform of platforms) {
    counts.push(await addonTests(platform.name, muslNode(platform)));
    if (platform.cpu === process.arch) counts.push(await muslSessions(muslNode(platform)));
  }
  return sum(counts);
}

/** @param {readonly string[]} command a Node for musl */
function muslSessions(command) {
  return withInstalled(ARTIFACTS, process.arch, (folder) => withNode(command, (node) => {
    const env = { TESTED_COMMAND: join(folder, COMMAND) };
    return mochaTests(INSTALLED_TESTS.map((name) => `build/${name}.test.js`), { env, node: [node] });
  }), 'musl');
}

/**
 * Tests the addon of a package in a Node that this machine starts by another program; and one that panics, built in the same way.
 * @param {string} name of the platform
 * @param {readonly string[]} command that starts Node
 */
async function addonTests(name, command) {
  const platform = PLATFORMS.find((its) => its.name === name);
  const tarball = readdirSync(ARTIFACTS).find((file) => file.includes(name));
  if (platform === undefined || tarball === undefined) throw new StepError(`There is no package for ${name} in ${ARTIFACTS}.`);
  return withNode(command, (node, folder) => {
    execFileSync('tar', ['--extract', '--file', join(ARTIFACTS, tarball), '--directory', folder]);
    const panicking = join(folder, 'panicking.node');
    copyFileSync(buildPanicking(platform), panicking);
    const env = { TESTED_ADDON: join(folder, 'package', addonFile(name)), TESTED_PANICKING: panicking };
    return mochaTests(['--timeout', '120000', 'build/contract/**/*.test.js', 'build/pack/panics.test.js'], { env, node: [node] });
  });
}

/**
 * Makes a Node usable that has to be started by another program.
 * @template T
 * @param {readonly string[]} command that starts it
 * @param {(node: string, folder: string) => Promise<T>} test gets the path of a script that stands for it, and a folder for the time of the test
 */
async function withNode(command, test) {
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-node-'));
  try {
    // A child is started by the kernel, which knows nothing of that program: a script has to name it.
    const [node, preload] = [join(folder, 'node'), join(folder, 'preload.cjs')];
    writeFileSync(preload, `process.execPath = ${JSON.stringify(node)};`);
    writeFileSync(node, `#!/bin/sh\nexec ${[...command, '--require', preload].map((word) => `'${word}'`).join(' ')} "$@"\n`, { mode: 0o755 });
    return await test(node, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function arm64RustTests() {
  const platform = PLATFORMS.find(({ cpu }) => cpu === 'arm64');
  if (platform === undefined) throw new StepError('There is no platform for arm64.');
  const targetDir = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'arm64');
  mkdirSync(targetDir, { recursive: true });
  const env = { ...toolchainFor(platform).env, CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER: arm64Emulator(), CARGO_TARGET_DIR: targetDir };
  // Not the examples in comments, which rustdoc compiles: it has no standard library for arm64.
  const packages = EMULATED_CRATES.flatMap((name) => ['--package', name]);
  const skipped = NOT_EMULATED.flatMap((name) => ['--skip', name]);
  return rustTests(['--lib', '--bins', '--tests', '--target', platform.triple, ...packages, '--', ...skipped], env);
}

/** The packed arm64 package in arm64 guests, with pages of 4 and of 16 KiB. */
async function arm64GuestTests() {
  await setUpVm(KERNELS.filter(({ arch }) => arch === 'arm64').map(({ name }) => name));
  return withInstalled(ARTIFACTS, 'arm64', (folder) => mochaTests(['build/pack/arm64-guest.test.js'], { env: { TESTED_FOREIGN_PACKAGE: folder }, minutesMax: GUESTS_MINUTES_MAX }));
}
