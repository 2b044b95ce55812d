// From a checked configuration to a running bridge.

import { err, ok, type Result } from 'neverthrow';
import type { BridgeConfig } from '../config/options.js';
import { failure, type BridgeError } from '../errors.js';
import { startNative } from '../native/index.js';
import type { PolicyTable } from '../policy/compile.js';
import { loadPolicy } from '../policy/load.js';
import { ensureRuntimeDir } from '../runtime-dir.js';
import { NativeBridge, type Bridge } from './bridge.js';

/**
 * Starts a bridge; when it returns, clients can connect.
 * @param env where the default runtime directory is looked up
 * @param signal closes the bridge when aborted
 */
export function startSession(config: BridgeConfig, env: NodeJS.ProcessEnv, signal?: AbortSignal): Result<NativeBridge, BridgeError> {
  if (signal?.aborted) return err(failure('aborted', 'the start was aborted'));
  // The addon calls through the event loop, so never before the bridge is there.
  let bridge: NativeBridge | undefined;
  return policyOf(config, env)
    .andThen((policy) => ensureRuntimeDir(config.runtimeDir, env).map((runtimeDir) => ({ policy, runtimeDir })))
    .andThen(({ policy, runtimeDir }) => startNative(config, policy, runtimeDir, () => bridge?.deliverEvents()).map((native) => ({ native, policy })))
    .andThen(({ native, policy }) => {
      bridge = new NativeBridge(native, policy);
      if (signal) closeOnAbort(bridge, signal);
      return ok(bridge);
    });
}

/** The policy that a configuration names. */
export function policyOf({ policy }: Pick<BridgeConfig, 'policy'>, env: NodeJS.ProcessEnv): Result<PolicyTable, BridgeError> {
  return loadPolicy(policy ?? 'open', env);
}

function closeOnAbort(bridge: Bridge, signal: AbortSignal): void {
  const close = (): void => void bridge.close();
  signal.addEventListener('abort', close, { once: true });
  // A signal may outlive many bridges.
  void bridge.closed.then(() => signal.removeEventListener('abort', close));
}
