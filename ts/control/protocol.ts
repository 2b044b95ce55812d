// What goes over a control socket: one JSON object a line each way, an answer for each request, in their order.

import type { Changes } from '../config/changes.js';
import type { BridgeError } from '../errors.js';
import type { BridgeStats } from '../session/bridge.js';
import type { ClientStatus } from '../session/client-status.js';

/** The longest request is a tenth of it. */
export const REQUEST_BYTES_MAX = 4096;
/** An answer about 65,536 clients is half of it. */
export const ANSWER_BYTES_MAX = 64 << 20;

/** Names of extensions are shorter. */
const EXTENSION_NAME_MAX = 100;

/** What can be asked for. */
export type ControlRequest =
  | { readonly do: 'status' }
  /** Read the configuration again. */
  | { readonly do: 'reload' }
  | { readonly do: 'close-client'; readonly client: number }
  /** Tell every message, of one client or of all: behind the answer come lines with {@link TracePart}s until the connection ends. */
  | { readonly do: 'trace'; readonly client?: number; readonly extensions: readonly string[] };

/** What is answered to each. */
export interface ControlAnswers {
  readonly status: BridgeStatus;
  readonly reload: Changes;
  readonly 'close-client': { readonly closed: boolean };
  readonly trace: TraceStart;
}

export type ControlAnswer<Name extends keyof ControlAnswers> = { readonly ok: ControlAnswers[Name] } | { readonly error: Pick<BridgeError, 'kind' | 'message'> };

/** What there is to know when a trace begins. */
export interface TraceStart {
  /** The extensions that the server has, of those that were asked about. */
  readonly extensions: readonly { readonly name: string; readonly major: number; readonly firstEvent: number; readonly firstError: number }[];
  /** Why they are not known, in one sentence. */
  readonly unknown?: string;
}

/** What was to tell since the last part. */
export interface TracePart {
  /** Records in base64. */
  readonly records: string;
  /** How many were lost because nobody took them in time. */
  readonly lost: number;
}

/** A running bridge at one moment. */
export interface BridgeStatus {
  /** That of the package. */
  readonly version: string;
  readonly pid: number;
  /** Milliseconds since its start. */
  readonly ageMs: number;
  readonly display: string;
  readonly hostDisplay?: string;
  readonly channel: string;
  readonly channelReason: string;
  readonly stats: BridgeStats;
  readonly clients: readonly ClientStatus[];
}

/** The request in a line, or undefined for anything else. */
export function requestIn(line: string): ControlRequest | undefined {
  const request = parsed(line);
  switch (request?.['do']) {
    case 'status':
    case 'reload':
      return { do: request['do'] };
    case 'close-client': {
      const client = request['client'];
      return typeof client === 'number' && Number.isSafeInteger(client) ? { do: 'close-client', client } : undefined;
    }
    case 'trace':
      return traceRequest(request);
    default:
      return undefined;
  }
}

function traceRequest({ client, extensions = [] }: Readonly<Record<string, unknown>>): ControlRequest | undefined {
  if (!Array.isArray(extensions) || !extensions.every((name): name is string => typeof name === 'string' && name.length <= EXTENSION_NAME_MAX)) return undefined;
  if (client === undefined) return { do: 'trace', extensions };
  return typeof client === 'number' && Number.isSafeInteger(client) && client > 0 ? { do: 'trace', client, extensions } : undefined;
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
