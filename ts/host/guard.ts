// A policy for the guests of a host half: a guard between its contexts and the X server, on a socket that nobody else can open. A guest
// has no other way to the server, whatever it speaks to the device.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Result } from 'neverthrow';
import type { HostConfig } from '../config/host-options.js';
import type { BridgeConfig } from '../config/options.js';
import { failure, type BridgeError } from '../errors.js';
import { onExit } from '../exit.js';
import type { NativeBridge } from '../session/bridge.js';
import { startSession } from '../session/start.js';

/** Contexts at once unless the options say otherwise. */
const CONTEXTS_DEFAULT = 512;

export class HostGuard {
  readonly #remove: () => void;

  private constructor(
    readonly bridge: NativeBridge,
    folder: string,
  ) {
    this.#remove = () => rmSync(folder, { recursive: true, force: true });
    onExit(this.#remove, true);
  }

  /** Starts a guard under the policy of the options. */
  static start(config: HostConfig, env: Readonly<Record<string, string | undefined>>): Result<HostGuard, BridgeError> {
    return privateFolder().andThen((folder) =>
      startSession(guardConfig(config, folder), env)
        .map((bridge) => new HostGuard(bridge, folder))
        .mapErr((error) => {
          rmSync(folder, { recursive: true, force: true });
          return error;
        }),
    );
  }

  /** The X server, as the contexts of the host half see it. */
  get display(): string {
    return this.bridge.socketPath;
  }

  async close(): Promise<void> {
    await this.bridge.close();
    onExit(this.#remove, false);
    this.#remove();
  }
}

/** What a guard between a host half and the X server is, whatever else the settings say. */
export function guardConfig({ hostDisplay, hostXauthority, hostTimeout, contextsMax, policy }: HostConfig, folder: string): BridgeConfig {
  return {
    display: undefined,
    socket: join(folder, 'X'),
    hostDisplay,
    hostDisplayNamed: true,
    hostXauthority,
    channel: 'socket',
    renderNode: undefined,
    dri3: 'auto',
    fences: 'auto',
    // A System V segment of a guest's number would be one of the host's.
    shm: 'fd',
    policy,
    spin: undefined,
    clientsMax: contextsMax ?? CONTEXTS_DEFAULT,
    hostTimeout,
    runtimeDir: folder,
  };
}

function privateFolder(): Result<string, BridgeError> {
  return Result.fromThrowable(
    () => mkdtempSync(join(tmpdir(), 'x11bridge-host-')),
    (error) => failure('runtime-dir', `a private folder in ${tmpdir()} can't be made (${error instanceof Error && 'code' in error ? String(error.code) : String(error)}): get permission to write there, or name another with $TMPDIR`),
  )();
}
