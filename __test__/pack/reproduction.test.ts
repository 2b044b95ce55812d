import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { ARTIFACTS, platforms, unpack } from './support/artifacts.js';

/** What the addons are built from. */
const SOURCES = ['Cargo.toml', 'Cargo.lock', '.cargo', 'crates'];
/** A guard: on a machine with nothing else to do it takes a minute. */
const BUILD_LIMIT_MS = 1_800_000;

describe('a second build', function () {
  this.timeout(BUILD_LIMIT_MS);

  for (const platform of platforms()) {
    it(`of the addon for ${platform}, of a copy of the sources in another place, has the same bytes`, async () => {
      using folder = new TemporaryFolder();
      const source = folder.file('a/longer/path/to/the copy');
      mkdirSync(source, { recursive: true });
      for (const name of SOURCES) cpSync(join(ROOT, name), join(source, name), { recursive: true });
      const options = { addon: folder.file('again.node'), debug: folder.file(`x11bridge.${platform}.node.debug`), source, targetDir: folder.file('target') };
      const code = `const { buildAddon } = await import(${JSON.stringify(`file://${ROOT}/scripts/packaging/addon.mjs`)});
        const { PLATFORMS } = await import(${JSON.stringify(`file://${ROOT}/scripts/packaging/platforms.mjs`)});
        buildAddon(PLATFORMS.find(({ name }) => name === ${JSON.stringify(platform)}), ${JSON.stringify(options)});`;
      const built = await finish(process.execPath, ['--input-type=module', '--eval', code], { limitMs: BUILD_LIMIT_MS });
      assert.equal(built.code, 0, built.stderr);
      const tarball = readdirSync(ARTIFACTS).find((file) => file.includes(platform)) ?? '';
      using packed = await unpack(join(ARTIFACTS, tarball));
      assert.ok(readFileSync(packed.file(`package/x11bridge.${platform}.node`)).equals(readFileSync(options.addon)));
    });
  }
});
