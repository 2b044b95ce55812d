// The version of Node.

import { fault, ok, type Check } from '../check.js';

/** As package.json has it under `engines`. */
const OLDEST = [20, 17] as const;

export const nodeVersion: Check = {
  name: 'node',
  title: 'Node',
  linuxOnly: false,
  run: ({ nodeVersion: version }) => {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const enough = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
    return enough ? ok(version) : fault(`${version} is too old`, `install Node ${OLDEST.join('.')} or newer`);
  },
};
