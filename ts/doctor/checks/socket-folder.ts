// The folder that clients look for displays in.

import { fault, note, ok, type Check } from '../check.js';

const FOLDER = '/tmp/.X11-unix';

export const socketFolder: Check = {
  name: 'socket-folder',
  title: 'socket folder',
  linuxOnly: true,
  run: ({ access }) => {
    switch (access(FOLDER)) {
      case 'usable':
        return ok(`${FOLDER} can be written`);
      case 'absent':
        return note(`${FOLDER} isn't there yet: the first bridge makes it`);
      case 'forbidden':
        return fault(`${FOLDER} can't be written`, `as root: chmod 1777 ${FOLDER}`);
    }
  },
};
