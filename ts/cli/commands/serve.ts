// `x11bridge serve`: a bridge until a signal ends it.

import type { Bridge } from '../../session/bridge.js';
import { openBridge } from '../open-bridge.js';
import type { Settings } from '../program.js';
import { exitCodeOfSignal, onSignals } from '../signals.js';
import { complainAbout, say } from '../terminal.js';

/**
 * Serves until SIGTERM, SIGINT or SIGHUP.
 * @returns the exit code: 0 after a signal
 */
export async function serve(settings: Settings): Promise<number> {
  // Before the bridge exists: a signal must never find it without somebody to clean up.
  const stopped = stopRequested();
  return openBridge(settings, say).match(
    async (bridge) => {
      if (!settings.json) announce(bridge);
      await stopped;
      await bridge.close();
      return 0;
    },
    async (error) => complainAbout(error),
  );
}

/** Resolves at the first signal. A second one doesn't wait for clients: the files are removed when the process exits. */
function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    let requested = false;
    onSignals(['SIGTERM', 'SIGINT', 'SIGHUP'], (signal) => {
      if (requested) process.exit(exitCodeOfSignal(signal));
      requested = true;
      resolve();
    });
  });
}

function announce({ display, channel, xauthority }: Bridge): void {
  say(`x11bridge: ready on display ${display} over the ${channel} channel; set this for clients:`);
  say(`export DISPLAY=${display} XAUTHORITY=${shellQuoted(xauthority)}`);
}

function shellQuoted(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
