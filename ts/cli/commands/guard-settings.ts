// The settings of `x11bridge guard`, apart from the command: the help needs them without loading what the command needs.

import type { SettingName } from '../../config/options.js';

/** The settings that it takes; its channel is the X server's own socket. */
export const GUARD_SETTINGS: readonly SettingName[] = [
  'socket',
  'display',
  'hostDisplay',
  'hostXauthority',
  'policy',
  'dri3',
  'spin',
  'clientsMax',
  'hostTimeout',
  'runtimeDir',
  'metrics',
  'logLevel',
];
