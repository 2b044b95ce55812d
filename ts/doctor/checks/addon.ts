// The compiled part.

import { fault, ok, type Check } from '../check.js';

export const addon: Check = {
  name: 'addon',
  title: 'addon',
  linuxOnly: true,
  run: ({ addon: load }) =>
    load().match(
      (version) => ok(`version ${version} loads`),
      ({ message }) => {
        // The cause may have colons itself.
        const colon = message.lastIndexOf(': ');
        return fault(message.slice(0, colon), message.slice(colon + 2));
      },
    ),
};
