// The files, variables and options with settings.

import { fault, ok, type Check } from '../check.js';

export const configuration: Check = {
  name: 'configuration',
  title: 'configuration',
  linuxOnly: false,
  run: ({ settings }) =>
    settings.match(
      () => ok('every source is free of faults'),
      ({ message }) => fault(message, 'mend what is named; "x11bridge config show" and "x11bridge config check FILE" help'),
    ),
};
