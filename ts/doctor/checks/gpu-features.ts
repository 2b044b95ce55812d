// What the virtio-gpu device and its driver have agreed on.

import { note, ok, type Check } from '../check.js';
import { renderNodes } from '../render-nodes.js';

/** Bit numbers of virtio-gpu's features that a cross-domain context needs. */
const NEEDED: Readonly<Record<string, number>> = { VIRGL: 0, RESOURCE_BLOB: 3, CONTEXT_INIT: 4 };

export const gpuFeatures: Check = {
  name: 'gpu-features',
  title: 'virtio-gpu features',
  linuxOnly: true,
  run: (machine) => {
    const virtio = renderNodes(machine).find(({ driver }) => driver === 'virtio_gpu');
    if (virtio === undefined) return note('not looked at, as there is no virtio-gpu device');
    const bits = machine.read(`${virtio.device}/features`)?.trim() ?? '';
    if (bits === '') return note(`not known: ${virtio.device}/features can't be read`);
    const missing = Object.keys(NEEDED).filter((name) => bits[NEEDED[name] ?? 0] !== '1');
    if (missing.length === 0) return ok(`${Object.keys(NEEDED).join(', ')} are there`);
    return note(`the device lacks ${missing.join(' and ')}, which a cross-domain context needs`, 'use a VMM whose virtio-gpu has cross-domain contexts, and Linux 5.16 or newer in the guest');
  },
};
