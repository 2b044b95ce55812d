// The folder with the clients' cookies.

import { ensureRuntimeDir } from '../../runtime-dir.js';
import { fault, note, ok, type Check } from '../check.js';

export const runtimeDir: Check = {
  name: 'runtime-dir',
  title: 'runtime directory',
  linuxOnly: true,
  run: ({ settings, env }) => {
    if (settings.isErr()) return note('not looked at, as the configuration has a fault');
    return ensureRuntimeDir(settings.value.runtimeDir, env).match(
      (path) => ok(`${path} is private`),
      ({ message }) => fault(message, 'name a folder of your own, of mode 0700, with --runtime-dir'),
    );
  },
};
