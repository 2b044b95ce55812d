// Guests with a virtio-gpu device of QEMU's own: it has a screen, and no 3D.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest, vmCacheFolder } from '../../../dist/vm/cache.js';
import type { TemporaryFolder } from '../../support/temporary.js';

/** The QEMU of the cache, which puts that device in front of ours. */
export function qemuWithScreen(folder: TemporaryFolder): string {
  const cache = vmCacheFolder(process.env);
  const { [process.arch as 'x64']: qemu = '' } = readManifest(cache).qemu;
  const program = folder.file('qemu');
  writeFileSync(program, `#!/bin/sh\nexec '${join(cache, qemu)}' -device virtio-gpu-pci "$@"\n`, { mode: 0o755 });
  return program;
}
