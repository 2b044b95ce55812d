// The work of `npm run build:all`, which starts this with the names of platforms, and puts what it leaves into its place.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { reportingScript } from '../interruptible.mjs';
import { setup, StepError } from '../setup.mjs';
import { buildAddon } from './addon.mjs';
import { debianGroups } from './host.mjs';
import { notices } from './notices.mjs';
import { addonFile, assertOneVersion, packPlatform, packRoot, PARTIAL } from './packages.mjs';
import { PLATFORMS } from './platforms.mjs';

// Not awaited: set-up imports what imports this, which would wait for itself.
void reportingScript(async () => {
  assertOneVersion();
  await setup({ debian: debianGroups() });
  rmSync(PARTIAL, { recursive: true, force: true });
  try {
    packAll(PLATFORMS.filter(({ name }) => argv.slice(2).includes(name)));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOSPC') throw error;
    throw new StepError(`There is no room left on the disk for ${PARTIAL}: make some, then try again.`);
  }
});

/** @param {readonly import('./platforms.mjs').Platform[]} platforms */
function packAll(platforms) {
  const [stage, debug] = [join(PARTIAL, 'stage'), join(PARTIAL, 'debug')];
  for (const folder of [stage, debug]) mkdirSync(folder, { recursive: true });
  for (const platform of platforms) {
    console.log(`\n── addon for ${platform.name} ──`);
    const addon = join(stage, addonFile(platform.name));
    buildAddon(platform, { addon, debug: join(debug, `${addonFile(platform.name)}.debug`) });
    packPlatform(platform.name, { addon, notices: notices(platform.triple) }, { stage, output: PARTIAL });
  }
  packRoot(platforms.map(({ name }) => name), { stage, output: PARTIAL });
  rmSync(stage, { recursive: true });
}
