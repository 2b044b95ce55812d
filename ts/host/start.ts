// From a checked configuration to a running host half.

import { err, ok, type Result } from 'neverthrow';
import type { HostConfig } from '../config/host-options.js';
import { failure, type BridgeError } from '../errors.js';
import { startNativeHost } from '../native/index.js';
import { HostGuard } from './guard.js';
import { NativeHost, type Host } from './host.js';

/**
 * Starts a host half; when it returns, a virtual machine monitor can connect.
 * @param env where policies are looked up
 * @param signal closes the host half when aborted
 */
export function startHostHalf(config: HostConfig, env: NodeJS.ProcessEnv, signal?: AbortSignal): Result<NativeHost, BridgeError> {
  if (signal?.aborted) return err(failure('aborted', 'the start was aborted'));
  if (config.policy === undefined || config.policy === 'open') return start(config, undefined, signal);
  return HostGuard.start(config, env).andThen((guard) => {
    // The guard has the server's cookie.
    const started = start({ ...config, hostDisplay: guard.display, hostXauthority: undefined }, guard, signal);
    if (started.isErr()) void guard.close();
    return started;
  });
}

function start(config: HostConfig, guard: HostGuard | undefined, signal: AbortSignal | undefined): Result<NativeHost, BridgeError> {
  // The addon calls through the event loop, so never before the host half is there.
  let host: NativeHost | undefined;
  return startNativeHost(config, () => host?.deliverEvents()).andThen((native) => {
    host = new NativeHost(native, config.devShm?.socket, guard);
    if (signal) closeOnAbort(host, signal);
    return ok(host);
  });
}

function closeOnAbort(host: Host, signal: AbortSignal): void {
  const close = (): void => void host.close();
  signal.addEventListener('abort', close, { once: true });
  // A signal may outlive many host halves.
  void host.closed.then(() => signal.removeEventListener('abort', close));
}
