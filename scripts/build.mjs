// Builds dist/: the addon with its generated types, then the TypeScript that imports it.

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { npmProgram, ROOT, runScript, setup, step } from './setup.mjs';

const require = createRequire(import.meta.url);
const DIST = join(ROOT, 'dist');
/** In dist/; napi writes it. */
const TYPES_OF_ADDON = 'native/binding.d.ts';

/** Compiles everything that is out of date; cargo and tsc find out themselves what that is. */
export function build() {
  step(npmProgram('napi'), ['build', '--platform', '--release', '--manifest-path', 'crates/node/Cargo.toml', '--output-dir', 'dist/native', '--no-js', '--dts', 'binding.d.ts']);
  removeOrphans();
  step(npmProgram('tsc'), ['--project', 'tsconfig.json']);
  // npm does this for an installed package; here the command is called by its path.
  chmodSync(join(ROOT, 'dist/cli/main.js'), 0o755);
  writeManual();
}

/** The manual page is made from the commands themselves. */
function writeManual() {
  const { createProgram } = require('../dist/cli/program.js');
  const { commandTree } = require('../dist/cli/command-tree.js');
  const { manualPage } = require('../dist/cli/manual.js');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  mkdirSync(join(ROOT, 'dist/man'), { recursive: true });
  writeFileSync(join(ROOT, 'dist/man/x11bridge.1'), manualPage(commandTree(createProgram({ code: 0 })), version));
}

/** What was compiled from a file that is gone would be packed and published still. */
function removeOrphans() {
  if (!existsSync(DIST)) return;
  for (const entry of readdirSync(DIST, { recursive: true, encoding: 'utf8' })) {
    const [, path, es] = /^(.*?)(?:\.d)?\.(m?)[jt]s(?:\.map)?$/.exec(entry) ?? [];
    if (path === undefined || entry === TYPES_OF_ADDON) continue;
    if (!existsSync(join(ROOT, 'ts', `${path}.${es}ts`))) rmSync(join(DIST, entry));
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  // Not awaited: set-up imports this file, which would wait for itself.
  void runScript(() => setup());
}
