// A connected client at one moment, as those see it who look.

import type { Totals } from './events.js';

/** A request that waits for its reply. */
export interface OldestRequest {
  /** Its number since the client's set-up, from 1. */
  readonly sequence: number;
  /** Its major opcode. */
  readonly opcode: number;
  /** Milliseconds that it is known to wait. */
  readonly ageMs: number;
}

export interface ClientStatus {
  /** 1, 2, 3 … in the order of connection. */
  readonly client: number;
  /** The client's process; absent where the system doesn't tell. */
  readonly pid?: number;
  /** The name of that process, at most 15 bytes of it. */
  readonly program?: string;
  /** Milliseconds since it has connected. */
  readonly ageMs: number;
  readonly totals: Totals;
  /** Requests of the core protocol, and a few of extensions, whose reply is awaited. */
  readonly awaited: number;
  /** The one of them that waits longest. */
  readonly oldest?: OldestRequest;
  /** Bytes that wait for the X server, and for the client, to take them. */
  readonly queuedToHost: number;
  readonly queuedToClient: number;
  /**
   * How long round trips took, of which one at a time is measured: element i counts those from 2^(i-1) up to 2^i microseconds, the first
   * one those below 1, the last one all above.
   */
  readonly roundTrips: readonly number[];
  /** The sum of their times in microseconds. */
  readonly roundTripMicros: number;
}

/** A time that half, or another share, of the measured round trips stayed below, in microseconds; undefined without any. */
export function roundTripBelow({ roundTrips }: Pick<ClientStatus, 'roundTrips'>, share: number): number | undefined {
  const all = roundTrips.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let seen = 0;
  const found = roundTrips.findIndex((count) => (seen += count) >= all * share);
  return 2 ** found;
}
