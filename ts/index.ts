/// <reference lib="esnext.disposable" preserve="true" />
// The public API.

import { err, ok, Result, ResultAsync } from 'neverthrow';
import type { BridgeOptions } from './config/options.js';
import { resolveOptions, type RawOptions } from './config/resolve.js';
import { failure, type BridgeError } from './errors.js';
import type { Bridge } from './session/bridge.js';
import { startSession } from './session/start.js';

export type { BridgeOptions, ChannelName, ChannelOption, LiveOptions } from './config/options.js';
export type { BlamedSide, BridgeError, BridgeErrorKind } from './errors.js';
export type { Bridge, BridgeStats } from './session/bridge.js';
export type { BridgeEvents, ClientClosed, ClientConnected, LogLevel, LogLine, Totals } from './session/events.js';

/**
 * Starts a bridge from X11 clients to an X server.
 *
 * The result is `ok` with the bridge when clients can connect, or `err` with the reason as a value of the union
 * {@link BridgeError}; it never rejects. The X server need not run yet: it is looked up for each client.
 * @param options every field has a default; see {@link BridgeOptions}
 * @example
 * const bridge = (await startBridge({ hostDisplay: ':0' }))._unsafeUnwrap();
 * spawn('xterm', { env: { ...process.env, ...bridge.env } });
 */
export function startBridge(options: BridgeOptions = {}): ResultAsync<Bridge, BridgeError> {
  return new ResultAsync(Promise.resolve(start(options).andThen((result) => result)));
}

/** Whatever is thrown below is a fault of the bridge; callers get it as a value like any other failure. */
const start = Result.fromThrowable(
  (options: BridgeOptions): Result<Bridge, BridgeError> =>
    splitSignal(options).andThen(({ raw, signal }) =>
      resolveOptions(raw, process.env).andThen((config) => startSession(config, process.env, signal)),
    ),
  (error) => failure('internal', String(error)),
);

/** Callers without types may pass anything. */
function splitSignal(options: unknown): Result<{ raw: RawOptions; signal: AbortSignal | undefined }, BridgeError> {
  if (typeof options !== 'object' || options === null) return err(failure('invalid-option', 'the options must be an object'));
  const { signal, ...raw } = options as { signal?: unknown };
  if (signal !== undefined && !isAbortSignal(signal)) return err(failure('invalid-option', 'signal must be an AbortSignal'));
  return ok({ raw, signal });
}

/** By its shape: other realms and polyfills have classes of their own. */
function isAbortSignal(value: unknown): value is AbortSignal {
  return typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
}
