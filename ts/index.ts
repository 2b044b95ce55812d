/// <reference lib="esnext.disposable" preserve="true" />
// The public API.

import { err, ok, Result, ResultAsync } from 'neverthrow';
import { resolveHostOptions } from './config/host.js';
import type { HostOptions } from './config/host-options.js';
import type { BridgeOptions } from './config/options.js';
import { resolveOptions } from './config/resolve.js';
import { failure, type BridgeError } from './errors.js';
import type { Host } from './host/host.js';
import { startHostHalf } from './host/start.js';
import type { Bridge } from './session/bridge.js';
import { startSession } from './session/start.js';

export type { HostOptions } from './config/host-options.js';
export type { BridgeOptions, ChannelName, ChannelOption, LiveOptions } from './config/options.js';
export type { BlamedSide, BridgeError, BridgeErrorKind } from './errors.js';
export type { ContextClosed, ContextOpened, GuestConnected, GuestDisconnected, HostEvents, Traffic } from './host/events.js';
export type { Host } from './host/host.js';
export type { Bridge, BridgeStats } from './session/bridge.js';
export type { ClientStatus, OldestRequest } from './session/client-status.js';
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

/**
 * Starts a host half: the device that gives the guest of a virtual machine a way to the X server, for QEMU 11.1 or newer.
 *
 * The result is `ok` with the host half when QEMU can connect, or `err` with the reason as a value of the union
 * {@link BridgeError}; it never rejects. The X server need not run yet: it is looked up for each program of the guest.
 * @param options every field but `socket` has a default; see {@link HostOptions}
 * @example
 * const host = (await startHost({ socket: '/run/user/1000/gpu.sock' }))._unsafeUnwrap();
 * spawn('qemu-system-x86_64', [...host.qemuArguments, ...others]);
 */
export function startHost(options: HostOptions): ResultAsync<Host, BridgeError> {
  return new ResultAsync(Promise.resolve(startHalf(options).andThen((result) => result)));
}

/** Whatever is thrown below is a fault of the bridge; callers get it as a value like any other failure. */
const start = Result.fromThrowable(
  (options: BridgeOptions): Result<Bridge, BridgeError> =>
    splitSignal(options).andThen(({ raw, signal }) =>
      resolveOptions(raw, process.env).andThen((config) => startSession(config, process.env, signal)),
    ),
  (error) => failure('internal', String(error)),
);

const startHalf = Result.fromThrowable(
  (options: HostOptions): Result<Host, BridgeError> =>
    splitSignal(options).andThen(({ raw, signal }) =>
      resolveHostOptions(raw, process.env).andThen((config) => startHostHalf(config, process.env, signal)),
    ),
  (error) => failure('internal', String(error)),
);

/** Callers without types may pass anything. */
function splitSignal(options: unknown): Result<{ raw: Record<string, unknown>; signal: AbortSignal | undefined }, BridgeError> {
  if (typeof options !== 'object' || options === null) return err(failure('invalid-option', 'the options must be an object'));
  const { signal, ...raw } = options as { signal?: unknown } & Record<string, unknown>;
  if (signal !== undefined && !isAbortSignal(signal)) return err(failure('invalid-option', 'signal must be an AbortSignal'));
  return ok({ raw, signal });
}

/** By its shape: other realms and polyfills have classes of their own. */
function isAbortSignal(value: unknown): value is AbortSignal {
  return typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
}
