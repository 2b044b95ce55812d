// The render nodes of the machine, from sysfs: it tells the driver without opening the device.

import type { Machine } from './check.js';

export interface RenderNode {
  readonly path: string;
  readonly driver: string;
  /** Its device in sysfs: for virtio-gpu that of the virtio bus. */
  readonly device: string;
}

export function renderNodes({ list, link, access }: Machine): RenderNode[] {
  const nodes = list('/sys/class/drm').filter((name) => /^renderD\d+$/.test(name));
  return nodes.flatMap((name) => {
    const device = `/sys/class/drm/${name}/device`;
    // A virtio device over PCI: the driver's own is that of the virtio bus below it.
    const inner = list(device).find((entry) => /^virtio\d+$/.test(entry));
    const own = inner === undefined ? device : `${device}/${inner}`;
    const driver = link(`${own}/driver`)?.split('/').at(-1) ?? 'unknown driver';
    const path = `/dev/dri/${name}`;
    return access(path) === 'absent' ? [] : [{ path, driver, device: own }];
  });
}
