// Signals by name and number.

import { constants } from 'node:os';

/** The exit code that shells give for an end by a signal. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** Calls `handle` for each of the signals, which then no longer end this process. */
export function onSignals(signals: readonly NodeJS.Signals[], handle: (signal: NodeJS.Signals) => void): void {
  for (const signal of signals) process.on(signal, handle);
}
