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
        const [cause = '', remedy = 'install x11bridge again'] = message.split(': ');
        return fault(cause, remedy);
      },
    ),
};
