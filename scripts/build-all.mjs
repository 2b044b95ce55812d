// `npm run build:all`: every package as it is published, in artifacts/, with the debug information of the addons beside them.
//
// It works on a fresh Debian 12 with Node and Rust, and fetches what it needs from Debian, npm and crates.io. When it fails, artifacts/
// is as it was before.

import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { buildAddon } from './packaging/addon.mjs';
import { notices } from './packaging/notices.mjs';
import { addonFile, assertOneVersion, packPlatform, packRoot } from './packaging/packages.mjs';
import { PLATFORMS } from './packaging/platforms.mjs';
import { ROOT, runScript, setup, StepError } from './setup.mjs';

/** The tarballs; `debug/` in it has the debug information. */
export const ARTIFACTS = join(ROOT, 'artifacts');
const PARTIAL = `${ARTIFACTS}.partial`;

/**
 * Builds and packs everything.
 * @throws {StepError} when it can't
 */
export async function buildAll() {
  assertOneVersion();
  await setup({ debian: ['fetch'] });
  rmSync(PARTIAL, { recursive: true, force: true });
  try {
    packAll();
    rmSync(ARTIFACTS, { recursive: true, force: true });
    renameSync(PARTIAL, ARTIFACTS);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOSPC') throw error;
    throw new StepError(`There is no room left on the disk for ${PARTIAL}: make some, then try again.`);
  } finally {
    rmSync(PARTIAL, { recursive: true, force: true });
  }
}

function packAll() {
  const [stage, debug] = [join(PARTIAL, 'stage'), join(PARTIAL, 'debug')];
  for (const folder of [stage, debug]) mkdirSync(folder, { recursive: true });
  for (const platform of PLATFORMS) {
    console.log(`\n── addon for ${platform.name} ──`);
    const addon = join(stage, addonFile(platform.name));
    buildAddon(platform, { addon, debug: join(debug, `${addonFile(platform.name)}.debug`) });
    packPlatform(platform.name, { addon, notices: notices(platform.triple) }, { stage, output: PARTIAL });
  }
  packRoot({ stage, output: PARTIAL });
  rmSync(stage, { recursive: true });
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
