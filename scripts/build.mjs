// Builds dist/: the addon with its generated loader and types, then the TypeScript that imports it.

import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { npmProgram, runScript, setup, step } from './setup.mjs';

/** Compiles everything that is out of date; cargo and tsc find out themselves what that is. */
export function build() {
  step(npmProgram('napi'), ['build', '--platform', '--release', '--manifest-path', 'crates/node/Cargo.toml', '--output-dir', 'dist/native', '--js', 'binding.js', '--dts', 'binding.d.ts']);
  step(npmProgram('tsc'), ['--project', 'tsconfig.json']);
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  await runScript(() => setup());
}
