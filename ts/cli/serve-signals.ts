// What signals do to a command that serves until one ends it.

import { exitCodeOfSignal, onSignals } from './signals.js';
import { abandonTerminalAtExit, hasTerminal } from './terminal.js';

export class ServeSignals {
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
