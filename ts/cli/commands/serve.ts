// `x11bridge serve`: a bridge until a signal ends it.

import type { Bridge } from '../../session/bridge.js';
import { ServiceManager, takeInherited } from '../../session/service.js';
import type { Invocation } from '../invocation.js';
import type { Adjust } from '../served-bridge.js';
import { ServedBridges } from '../served-bridges.js';
import { exitCodeOfSignal, onSignals } from '../signals.js';
import { abandonTerminalAtExit, complainAbout, hasTerminal, say, shellQuoted } from '../terminal.js';

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

class ServeSignals {
  /** Resolves at the first signal to stop. A second one doesn't wait for clients: the files are removed when the process exits. */
  readonly stopped: Promise<void>;
  onReload: () => void = () => undefined;

  constructor() {
    this.stopped = new Promise((resolve) => {
      let requested = false;
      const stop = (signal: NodeJS.Signals): void => {
        if (requested) process.exit(exitCodeOfSignal(signal));
        requested = true;
        resolve();
      };
      onSignals(['SIGTERM', 'SIGINT'], stop);
      const hadTerminal = hasTerminal();
      onSignals(['SIGHUP'], (signal) => {
        // Who closes the terminal of a bridge ends it, as ever; others ask for a reload by this signal.
        if (!hadTerminal || hasTerminal()) return this.onReload();
        abandonTerminalAtExit();
        stop(signal);
      });
    });
  }
}

function announce({ display, channel, xauthority }: Bridge): void {
  if (xauthority === undefined) return say(`x11bridge: ready on ${display} over the ${channel} channel; point the virtual machine or the clients at that socket`);
  say(`x11bridge: ready on display ${display} over the ${channel} channel; set this for clients:`);
  say(`export DISPLAY=${display} XAUTHORITY=${shellQuoted(xauthority)}`);
}
