// From a checked configuration to a running host half.

import { err, ok, type Result } from 'neverthrow';
import type { HostConfig } from '../config/host-options.js';
import { failure, type BridgeError } from '../errors.js';
import { startNativeHost } from '../native/index.js';
import { NativeHost, type Host } from './host.js';

/**
 * Starts a host half; when it returns, a virtual machine monitor can connect.
 * @param signal closes the host half when aborted
 */
export function startHostHalf(config: HostConfig, signal?: AbortSignal): Result<Host, BridgeError> {
  if (signal?.aborted) return err(failure('aborted', 'the start was aborted'));
  // The addon calls through the event loop, so never before the host half is there.
  let host: NativeHost | undefined;
  return startNativeHost(config, () => host?.deliverEvents()).andThen((native) => {
    host = new NativeHost(native);
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
