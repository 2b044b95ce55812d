// What the host of a virtual machine offers: capset 5, its channels, and the dialect that it speaks.

import { note, ok, type Check } from '../check.js';

export const crossDomain: Check = {
  name: 'cross-domain',
  title: 'way to the host',
  linuxOnly: true,
  run: ({ settings, virtgpu }) => virtgpu(settings.map(({ renderNode }) => renderNode).unwrapOr(undefined)).match(ok, ({ message }) => note(message)),
};
