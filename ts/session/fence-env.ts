// Where programs are to keep their fences.

import type { BridgeConfig, ChannelName } from '../config/options.js';
import { examineSharing } from '../native/index.js';

/** What they are to have in their environment besides. */
export interface FenceEnv {
  readonly XSHMFENCE_NO_MEMFD?: '1';
}

/**
 * Has libxshmfence (1.3.3 or newer) make its files in `/dev/shm` where the host has that memory too, so that fences are shared and not relayed.
 * @param sharing what can be done with the files of a folder
 */
export function fenceEnv(channel: ChannelName, fences: BridgeConfig['fences'], sharing = examineSharing): FenceEnv {
  if (channel !== 'virtgpu' || (fences !== 'auto' && fences !== 'shared')) return {};
  const found = sharing('/dev/shm');
  return found?.isShared && found.hasNames ? { XSHMFENCE_NO_MEMFD: '1' } : {};
}
