// A trial: the bridge that `serve` would start, and a client through it to the X server.

import { err, ok, type Result } from 'neverthrow';
import type { ResolvedSettings } from '../config/options.js';
import type { BridgeError } from '../errors.js';
import type { Bridge } from '../session/bridge.js';
import { startSession } from '../session/start.js';
import { askServer, type ServerAnswer } from './x11-client.js';

/** How the trial went. */
export interface Trial {
  /** How the bridge reaches the X server, or why it didn't start. */
  readonly bridge: Result<Pick<Bridge, 'display' | 'channel' | 'channelReason'>, BridgeError>;
  /** What the X server said, or the sentence that says why it didn't. */
  readonly server: Result<ServerAnswer, string>;
}

/** Starts, asks, and closes. The display is a free one, whatever the settings say: theirs may be in use by a bridge that works. */
export async function tryBridge(settings: Result<ResolvedSettings, BridgeError>, env: NodeJS.ProcessEnv): Promise<Trial> {
  const started = settings.andThen((config) => startSession({ ...config, display: undefined, socket: undefined }, env));
  return started.match(
    async (bridge) => {
      const server = await askServer(bridge.socketPath, bridge.xauthority ?? '', TRIAL_SECONDS);
      const { display, channel, channelReason } = bridge;
      await bridge.close();
      return { bridge: ok({ display, channel, channelReason }), server };
    },
    async (error) => ({ bridge: err(error), server: err('no bridge could be started') }),
  );
}

/** Longer than the bridge itself waits for the X server by default, so that its own sentence comes first. */
const TRIAL_SECONDS = 10;
