// The border to the Rust addon; the only module that imports it. It is loaded when the first bridge starts, not before.

import { err, ok, Result } from 'neverthrow';
import type { BridgeConfig, LiveConfig } from '../config/options.js';
import { failure, isErrorKind, isSide, type BridgeError } from '../errors.js';
import type * as Binding from './binding.js';

export type { BindingBridge, BindingEvent, BindingStats, BindingTotals } from './binding.js';

/**
 * Starts a bridge in the addon.
 * @param onEvents called when `takeEvents` has something after it had nothing
 */
export function startNative(config: BridgeConfig, runtimeDir: string, onEvents: () => void): Result<Binding.BindingBridge, BridgeError> {
  return loadBinding().andThen((binding) => {
    const started = binding.startBridge(bindingOptions(config, runtimeDir), onEvents);
    return isBindingError(started) ? err(bridgeError(started)) : ok(started);
  });
}

/** The version of the addon, if it loads. */
export function addonVersion(): Result<string, BridgeError> {
  return loadBinding().map((binding) => binding.version());
}

/** Changes what may change in a running bridge. */
export function reconfigureNative(native: Binding.BindingBridge, config: LiveConfig): Result<void, BridgeError> {
  const error = native.reconfigure(bindingLiveOptions(config));
  return error ? err(bridgeError(error)) : ok();
}

function loadBinding(): Result<typeof Binding, BridgeError> {
  return Result.fromThrowable(
    () => require('./binding.js') as typeof Binding,
    (error) => failure('addon-missing', missingAddonMessage(error)),
  )();
}

const PLATFORMS: ReadonlySet<string> = new Set(['linux-x64', 'linux-arm64']);

function missingAddonMessage(error: unknown): string {
  const platform = `${process.platform}-${process.arch}`;
  if (!PLATFORMS.has(platform)) return `x11bridge has no addon for ${platform}: it runs on Linux with glibc, on x64 and arm64`;
  const name = `x11bridge-${platform}-gnu`;
  return `the addon of x11bridge could not be loaded (${rootCause(error)}): install the npm package ${name}, or run "npm run build" in a checkout`;
}

/** The first line of the innermost cause; the generated loader wraps what really happened. */
function rootCause(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  const text = innermost instanceof Error ? innermost.message : String(innermost);
  return text.split('\n', 1)[0] ?? text;
}

function bindingOptions(config: BridgeConfig, runtimeDir: string): Binding.BindingOptions {
  return {
    hostDisplayNamed: config.hostDisplayNamed,
    channel: config.channel,
    runtimeDir,
    ...(config.display !== undefined && { display: config.display }),
    ...(config.hostDisplay !== undefined && { hostDisplay: config.hostDisplay }),
    ...(config.renderNode !== undefined && { renderNode: config.renderNode }),
    live: bindingLiveOptions(config),
  };
}

function bindingLiveOptions(config: LiveConfig): Binding.BindingLiveOptions {
  return {
    ...(config.hostXauthority !== undefined && { hostXauthority: config.hostXauthority }),
    ...(config.spin !== undefined && { spinMicros: config.spin }),
    ...(config.clientsMax !== undefined && { clientsMax: config.clientsMax }),
    ...(config.hostTimeout !== undefined && { hostTimeoutMs: Math.round(config.hostTimeout * 1000) }),
  };
}

function isBindingError(started: Binding.BindingBridge | Binding.BindingError): started is Binding.BindingError {
  return 'kind' in started;
}

/** A newer addon may know kinds that this shell doesn't. */
function bridgeError({ kind, message, side, retry }: Binding.BindingError): BridgeError {
  return failure(isErrorKind(kind) ? kind : 'internal', message, { side: isSide(side) ? side : 'bridge', retry });
}
