// What must not outlive the process: no finalizer runs when it exits.

const STOPS = new Set<() => void>();

function stopAll(): void {
  for (const stop of STOPS) stop();
}

/** Calls `stop` when the process exits, as long as it is `open`. */
export function onExit(stop: () => void, open: boolean): void {
  if (open) STOPS.add(stop);
  else STOPS.delete(stop);
  process.off('exit', stopAll);
  if (STOPS.size > 0) process.on('exit', stopAll);
}
