// The render nodes: in a guest, that of virtio-gpu leads to the host.

import { note, ok, type Check } from '../check.js';
import { renderNodes } from '../render-nodes.js';

export const renderNode: Check = {
  name: 'render-node',
  title: 'render node',
  linuxOnly: true,
  run: (machine) => {
    const nodes = renderNodes(machine);
    const virtio = nodes.find(({ driver }) => driver === 'virtio_gpu');
    if (nodes.length === 0) return note('there is none in /dev/dri', 'in a guest: give it a virtio-gpu device, and load the module virtio_gpu');
    if (virtio === undefined) return note(`${nodes.map(({ path, driver }) => `${path} (${driver})`).join(', ')}: none is of virtio_gpu, so this is no guest with such a device`);
    if (machine.access(virtio.path) !== 'forbidden') return ok(`${virtio.path}, driver virtio_gpu`);
    return note(`${virtio.path} may not be opened`, `add yourself to the group "render": sudo usermod -aG render ${machine.env['USER'] ?? '"$USER"'}, and log in again`);
  },
};
