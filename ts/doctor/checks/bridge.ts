// Whether a bridge starts: a free display, its sockets, the runtime directory, a channel.

import { fault, note, ok, type Check } from '../check.js';

export const bridge: Check = {
  name: 'bridge',
  title: 'bridge',
  linuxOnly: true,
  run: async ({ settings, trial }) => {
    if (settings.isErr()) return note('not tried, as the configuration has a fault');
    return (await trial()).bridge.match(
      ({ display, channel, channelReason }) => ok(`starts on display ${display}, with channel ${channel}: ${channelReason}`),
      ({ message }) => fault(message, 'the sentence says what to do; "x11bridge serve --help" lists the options'),
    );
  },
};
