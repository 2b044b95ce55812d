// The operating system and the processor.

import { fault, ok, type Check } from '../check.js';

export const platform: Check = {
  name: 'platform',
  title: 'platform',
  linuxOnly: false,
  run: ({ platform: system, arch }) => {
    if (system !== 'linux') return fault(`this is ${system}; the bridge carries programs of Linux guests`, 'install x11bridge in the Linux guest and run it there');
    if (arch !== 'x64' && arch !== 'arm64') return fault(`there is no addon for ${arch}`, 'use a machine with an x64 or arm64 processor');
    return ok(`Linux on ${arch}`);
  },
};
