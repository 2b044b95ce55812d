// All checks, in the order in which causes come before their effects.

import type { Check, Finding, Machine } from './check.js';
import { addon } from './checks/addon.js';
import { bridge } from './checks/bridge.js';
import { configuration } from './checks/configuration.js';
import { crossDomain } from './checks/cross-domain.js';
import { extensions } from './checks/extensions.js';
import { gpuFeatures } from './checks/gpu-features.js';
import { ioUring } from './checks/io-uring.js';
import { kvm } from './checks/kvm.js';
import { nodeVersion } from './checks/node-version.js';
import { openFiles } from './checks/open-files.js';
import { pageSize } from './checks/page-size.js';
import { platform } from './checks/platform.js';
import { qemu } from './checks/qemu.js';
import { renderNode } from './checks/render-node.js';
import { runtimeDir } from './checks/runtime-dir.js';
import { sharedMemory } from './checks/shared-memory.js';
import { socketFolder } from './checks/socket-folder.js';
import { xServer } from './checks/x-server.js';
import { xshmfence } from './checks/xshmfence.js';

export const CHECKS: readonly Check[] = [
  platform,
  nodeVersion,
  addon,
  configuration,
  runtimeDir,
  socketFolder,
  bridge,
  xServer,
  extensions,
  openFiles,
  renderNode,
  gpuFeatures,
  crossDomain,
  pageSize,
  sharedMemory,
  xshmfence,
  ioUring,
  kvm,
  qemu,
];

/** What one check found. */
export interface Examined extends Finding {
  readonly name: string;
  readonly title: string;
}

/** Runs every check that makes sense on the machine. */
export async function* examine(machine: Machine): AsyncGenerator<Examined> {
  for (const { name, title, linuxOnly, run } of CHECKS) {
    if (linuxOnly && machine.platform !== 'linux') continue;
    // One after the other: the first sentences can be read while later ones are on their way.
    // eslint-disable-next-line no-await-in-loop
    yield { name, title, ...(await run(machine)) };
  }
}
