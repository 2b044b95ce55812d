// `npm run build:all`: every package as it is published, in artifacts/, with the debug information of the addons beside them.
//
// It works on a fresh Debian 12 with Node and Rust, and fetches what it needs from Debian, npm and crates.io. When it fails or is
// interrupted, artifacts/ is as it was before.

import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runInterruptible } from './interruptible.mjs';
import { ARTIFACTS, PARTIAL } from './packaging/packages.mjs';
import { PLATFORMS } from './packaging/platforms.mjs';
import { runScript } from './setup.mjs';

const WORK = fileURLToPath(new URL('packaging/pack-all.mjs', import.meta.url));

/**
 * Builds and packs everything.
 * @param {readonly string[]} [names] of platforms, by default of all
 * @throws {import('./setup.mjs').StepError} when it can't, or is interrupted
 */
export async function buildAll(names = PLATFORMS.map(({ name }) => name)) {
  try {
    await runInterruptible([WORK, ...names], 'nothing was built, and the packages that were there before are as they were');
    rmSync(ARTIFACTS, { recursive: true, force: true });
    renameSync(PARTIAL, ARTIFACTS);
  } finally {
    rmSync(PARTIAL, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  await runScript(async () => {
    await buildAll();
    console.log(`\nPackages in ${ARTIFACTS}:`);
    for (const name of readdirSync(ARTIFACTS).filter((file) => file.endsWith('.tgz'))) {
      console.log(`  ${name.padEnd(44)}${(statSync(join(ARTIFACTS, name)).size / 1000).toFixed(0).padStart(6)} kB`);
    }
  });
}
