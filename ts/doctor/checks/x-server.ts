// Whether a client gets through the bridge to the X server, its cookie included.

import { fault, note, ok, type Check } from '../check.js';

export const xServer: Check = {
  name: 'x-server',
  title: 'X server',
  linuxOnly: true,
  run: async ({ settings, trial }) => {
    const { bridge, server } = await trial();
    if (settings.isErr() || bridge.isErr()) return note('not asked, as no bridge starts');
    return server.match(
      ({ vendor, release }) => ok(`answers through the bridge: ${vendor}, release ${release}`),
      (cause) => fault(cause, remedyFor(cause)),
    );
  },
};

function remedyFor(cause: string): string {
  if (/refuse|[Aa]uthoriz/.test(cause)) return 'name the Xauthority file with its cookie by --host-xauthority; "xauth info" run where its own programs run shows which one';
  if (/did not answer|no answer/.test(cause)) return 'see what listens there, or give it longer with --host-timeout';
  return 'start the X server, or name the right one with --host-display';
}
