// `x11bridge serve`: a bridge until a signal ends it.

import type { Bridge } from '../../session/bridge.js';
import { ServiceManager, takeInherited } from '../../session/service.js';
import type { Invocation } from '../invocation.js';
import type { Adjust } from '../served-bridge.js';
import { ServedBridges } from '../served-bridges.js';
import { ServeSignals } from '../serve-signals.js';
import { complainAbout, say, shellQuoted } from '../terminal.js';

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again.
 * @param adjust changes settings that a command sees differently
 * @returns the exit code: 0 after a signal
 */
export async function serve(invocation: Invocation, adjust: Adjust = (settings) => settings): Promise<number> {
  // Before the bridge exists: a signal must never find it without somebody to clean up.
  const signals = new ServeSignals();
  const manager = new ServiceManager(process.env, process.pid);
  const inherited = takeInherited(process.env, process.pid);
  const started = await ServedBridges.start(invocation, say, adjust, inherited);
  if (started.isErr()) return complainAbout(started.error);
  const bridges = started.value;
  signals.onReload = () => bridges.reload();
  await bridges.openControl();
  for (const { reporter, bridge } of bridges.all) {
    reporter.ready(bridge);
    if (!invocation.json) announce(bridge);
  }
  manager.ready(bridges.all.map(({ bridge }) => `display ${bridge.display} over ${bridge.channel}`).join(', '));
  await signals.stopped;
  manager.stopping();
  await bridges.close();
  return 0;
}

function announce({ display, channel, xauthority }: Bridge): void {
  if (xauthority === undefined) return say(`x11bridge: ready on ${display} over the ${channel} channel; point the virtual machine or the clients at that socket`);
  say(`x11bridge: ready on display ${display} over the ${channel} channel; set this for clients:`);
  say(`export DISPLAY=${display} XAUTHORITY=${shellQuoted(xauthority)}`);
}
