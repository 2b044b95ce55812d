// What a running bridge reports: the public shapes, and the way from the addon's batches to them.

import type { EmissionOf } from '../emitter.js';
import type { BindingEvent, BindingTotals } from '../native/index.js';

/** Counts since a client connected, or since the bridge started. Bytes are those of the X11 protocol. */
export interface Totals {
  readonly bytesToHost: number;
  readonly bytesToClient: number;
  readonly requests: number;
  readonly replies: number;
  readonly events: number;
  readonly errors: number;
  /** Requests that the bridge made harmless, so that the X server answers them with an error. */
  readonly denied: number;
  /** File descriptors passed to the X server, to the client, and closed because nothing claimed them. */
  readonly fdsToHost: number;
  readonly fdsToClient: number;
  readonly fdsDropped: number;
  /** Fences in memory that both kernels map, those that were relayed to another kernel, and those of the latter that were because there was no such memory left. */
  readonly fencesShared: number;
  readonly fencesRelayed: number;
  readonly fencesCrowdedOut: number;
  /** Triggers of relayed fences that came too late to mean anything, and fences that were triggered because nobody could say any more when to. */
  readonly fencesStale: number;
  readonly fencesGivenUp: number;
}

/** How a log line ranks, the gravest first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface ClientConnected {
  /** 1, 2, 3 … in the order of connection. */
  readonly client: number;
  /** The client's process; absent where the system doesn't tell. */
  readonly pid?: number;
  /** The name of that process, at most 15 bytes of it. */
  readonly program?: string;
}

export interface ClientClosed {
  readonly client: number;
  /** One sentence. */
  readonly reason: string;
  readonly totals: Totals;
}

export interface LogLine {
  readonly level: LogLevel;
  /** One line without its level. */
  readonly message: string;
}

/** The events of a bridge with the arguments of their listeners. */
export interface BridgeEvents {
  /** A client's set-up was accepted; one that is refused gives a `log` line instead. */
  'client-connected': [client: ClientConnected];
  'client-closed': [client: ClientClosed];
  log: [line: LogLine];
  /** The last event: everything is closed and removed. */
  closed: [];
}

/** One event, ready to be emitted. */
export type Emission = EmissionOf<BridgeEvents>;

/** Translates one event of the addon; undefined for a kind that this version doesn't know. */
export function emissionOf(event: BindingEvent): Emission | undefined {
  switch (event.kind) {
    case 'client-connected':
      return ['client-connected', clientConnected(event)];
    case 'client-closed':
      return ['client-closed', { client: event.client ?? 0, reason: event.reason ?? '', totals: event.totals ?? NO_TOTALS }];
    case 'log':
      return ['log', { level: logLevel(event.level), message: event.message ?? '' }];
    default:
      return undefined;
  }
}

function clientConnected({ client = 0, pid, program }: BindingEvent): ClientConnected {
  return { client, ...(pid !== undefined && { pid }), ...(program !== undefined && { program }) };
}

/** A level of the addon's. */
export function logLevel(level: string | undefined): LogLevel {
  return level === 'error' || level === 'warn' || level === 'debug' ? level : 'info';
}

const NO_TOTALS: BindingTotals = {
  bytesToHost: 0,
  bytesToClient: 0,
  requests: 0,
  replies: 0,
  events: 0,
  errors: 0,
  denied: 0,
  fdsToHost: 0,
  fdsToClient: 0,
  fdsDropped: 0,
  fencesShared: 0,
  fencesRelayed: 0,
  fencesCrowdedOut: 0,
  fencesStale: 0,
  fencesGivenUp: 0,
};
