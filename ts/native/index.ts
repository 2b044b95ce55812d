// The border to the Rust addon, which is loaded when the first bridge or host half starts, not before.

import { err, ok, type Result } from 'neverthrow';
import type { HostConfig } from '../config/host-options.js';
import type { BridgeConfig, LiveConfig } from '../config/options.js';
import { failure, isErrorKind, isSide, type BridgeError } from '../errors.js';
import type { PolicyTable } from '../policy/compile.js';
import { loadAddon } from './addon.js';
import type * as Binding from './binding.js';

export type { BindingBridge, BindingEvent, BindingHost, BindingHostEvent, BindingStats, BindingTotals, BindingTraceBatch, BindingTraceStart, BindingTraffic } from './binding.js';

/**
 * Starts a bridge in the addon.
 * @param onEvents called when `takeEvents` has something after it had nothing
 */
export function startNative(config: BridgeConfig, policy: PolicyTable | undefined, runtimeDir: string, onEvents: () => void): Result<Binding.BindingBridge, BridgeError> {
  return loadAddon().andThen((addon) => {
    const started = addon.startBridge(bindingOptions(config, policy, runtimeDir), onEvents);
    return isBindingError(started) ? err(bridgeError(started)) : ok(started);
  });
}

/** The version of the addon, if it loads. */
export function addonVersion(): Result<string, BridgeError> {
  return loadAddon().map((addon) => addon.version());
}

/** Which way to an X server the virtio-gpu device offers, in one line. Blocks for up to 5 s when the host is silent. */
export function virtgpuOffer(renderNode: string | undefined): Result<string, BridgeError> {
  return loadAddon().andThen((addon) => {
    const offer = addon.virtgpuOffer(renderNode);
    return typeof offer === 'string' ? ok(offer) : err(bridgeError(offer));
  });
}

/** How the thread that watches fences would sleep here; undefined without the addon. */
export function fenceWatcher(): string | undefined {
  return loadAddon()
    .map((addon) => addon.fenceWatcher())
    .unwrapOr(undefined);
}

/** What can be done with the files of a folder; undefined when none can be made there. */
export function examineSharing(folder: string): { readonly isShared: boolean; readonly hasNames: boolean } | undefined {
  return loadAddon()
    .map((addon) => addon.examineSharing(folder) ?? undefined)
    .unwrapOr(undefined);
}

/** Tells the service manager behind `$NOTIFY_SOCKET` some assignments; false when it can't be reached. */
export function notifyService(socket: string, assignments: readonly string[]): boolean {
  return loadAddon()
    .map((addon) => addon.notifyService(socket, assignments.join('\n')))
    .unwrapOr(false);
}

/** The user at the other end of a Unix socket, by the number of its descriptor; undefined when that isn't known. */
export function peerUser(descriptor: number): number | undefined {
  return loadAddon()
    .map((addon) => addon.peerUser(descriptor) ?? undefined)
    .unwrapOr(undefined);
}

/** Changes what may change in a running bridge. The promise never rejects. */
export async function reconfigureNative(native: Binding.BindingBridge, config: LiveConfig, policy: PolicyTable | undefined): Promise<Result<void, BridgeError>> {
  try {
    const error = await native.reconfigure(bindingLiveOptions(config, policy));
    return error ? err(bridgeError(error)) : ok();
  } catch (error) {
    return err(failure('internal', String(error)));
  }
}

/** Begins to tell every message. The promise never rejects. */
export async function traceNative(native: Binding.BindingBridge, client: number | undefined, names: readonly string[]): Promise<Result<Binding.BindingTraceStart, BridgeError>> {
  try {
    const start = await native.trace(client, [...names]);
    return start.error ? err(bridgeError(start.error)) : ok(start);
  } catch (error) {
    return err(failure('internal', String(error)));
  }
}

function bindingOptions(config: BridgeConfig, policy: PolicyTable | undefined, runtimeDir: string): Binding.BindingOptions {
  return {
    hostDisplayNamed: config.hostDisplayNamed,
    channel: config.channel,
    fences: config.fences,
    runtimeDir,
    ...(config.inherited !== undefined && { inherited: [...config.inherited] }),
    ...(config.display !== undefined && { display: config.display }),
    ...(config.socket !== undefined && { socket: config.socket }),
    ...(config.hostDisplay !== undefined && { hostDisplay: config.hostDisplay }),
    ...(config.renderNode !== undefined && { renderNode: config.renderNode }),
    live: bindingLiveOptions(config, policy),
  };
}

function bindingLiveOptions(config: LiveConfig, policy: PolicyTable | undefined): Binding.BindingLiveOptions {
  return {
    ...(config.dri3 !== undefined && { dri3: config.dri3 }),
    ...(config.shm !== undefined && { shm: config.shm }),
    ...(policy && { policy: { words: [...policy.words], extensions: [...policy.extensions], labels: [...policy.labels], atoms: [...policy.atoms], machine: policy.machine } }),
    ...(config.hostXauthority !== undefined && { hostXauthority: config.hostXauthority }),
    ...(config.spin !== undefined && { spinMicros: config.spin }),
    ...(config.clientsMax !== undefined && { clientsMax: config.clientsMax }),
    ...(config.hostTimeout !== undefined && { hostTimeoutMs: Math.round(config.hostTimeout * 1000) }),
  };
}

/**
 * Starts a host half in the addon.
 * @param onEvents called when `takeEvents` has something after it had nothing
 */
export function startNativeHost(config: HostConfig, onEvents: () => void): Result<Binding.BindingHost, BridgeError> {
  return loadAddon().andThen((addon) => {
    const started = addon.startHost(hostBindingOptions(config), onEvents);
    return isBindingError(started) ? err(bridgeError(started)) : ok(started);
  });
}

function hostBindingOptions(config: HostConfig): Binding.BindingHostOptions {
  return {
    socket: config.socket,
    hostDisplay: config.hostDisplay,
    ...(config.hostXauthority !== undefined && { hostXauthority: config.hostXauthority }),
    ...(config.hostTimeout !== undefined && { hostTimeoutMs: Math.round(config.hostTimeout * 1000) }),
    ...(config.contextsMax !== undefined && { contextsMax: config.contextsMax }),
    ...(config.devShm !== undefined && { devShm: config.devShm }),
  };
}

function isBindingError(started: object): started is Binding.BindingError {
  return 'kind' in started;
}

/** A newer addon may know kinds that this shell doesn't. */
function bridgeError({ kind, message, side, retry }: Binding.BindingError): BridgeError {
  return failure(isErrorKind(kind) ? kind : 'internal', message, { side: isSide(side) ? side : 'bridge', retry });
}
