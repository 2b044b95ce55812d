// What a running host half reports: the public shapes, and the way from the addon's batches to them.

import type { EmissionOf } from '../emitter.js';
import type { BindingHostEvent, BindingTraffic } from '../native/index.js';
import { logLevel, type LogLine } from '../session/events.js';

/** What went through a context, in bytes of the X11 protocol. */
export interface Traffic {
  readonly bytesToHost: number;
  readonly bytesToGuest: number;
  /** Messages in which they came, one for each POLL of the guest. */
  readonly messagesToGuest: number;
  /** File descriptors that the X server took, and that came from it. */
  readonly fdsToHost: number;
  readonly fdsToGuest: number;
}

export interface GuestConnected {
  /** QEMU's process; absent where the system doesn't tell. */
  readonly pid?: number;
}

export interface GuestDisconnected {
  /** One sentence. */
  readonly reason: string;
}

export interface ContextOpened {
  /** 1, 2, 3 … in the order of opening, for each guest anew. */
  readonly context: number;
  /** The guest's name for it, often that of its program; may be empty. */
  readonly name: string;
}

export interface ContextClosed {
  readonly context: number;
  /** One sentence. */
  readonly reason: string;
  readonly traffic: Traffic;
}

/** The events of a host half with the arguments of their listeners. */
export interface HostEvents {
  'guest-connected': [guest: GuestConnected];
  /** All its contexts are closed. The host half waits for the next guest. */
  'guest-disconnected': [guest: GuestDisconnected];
  'context-opened': [context: ContextOpened];
  'context-closed': [context: ContextClosed];
  log: [line: LogLine];
  /** The last event: everything is closed and removed. */
  closed: [];
}

/** One event, ready to be emitted. */
export type HostEmission = EmissionOf<HostEvents>;

/** Translates one event of the addon; undefined for a kind that this version doesn't know. */
export function hostEmissionOf({ kind, pid, context = 0, name = '', reason = '', traffic = NO_TRAFFIC, level, message = '' }: BindingHostEvent): HostEmission | undefined {
  switch (kind) {
    case 'guest-connected':
      return [kind, { ...(pid !== undefined && { pid }) }];
    case 'guest-disconnected':
      return [kind, { reason }];
    case 'context-opened':
      return [kind, { context, name }];
    case 'context-closed':
      return [kind, { context, reason, traffic }];
    case 'log':
      return [kind, { level: logLevel(level), message }];
    default:
      return undefined;
  }
}

const NO_TRAFFIC: BindingTraffic = { bytesToHost: 0, bytesToGuest: 0, messagesToGuest: 0, fdsToHost: 0, fdsToGuest: 0 };
