// The schema: every setting, once. Validation, help, manual page, documentation, completions and JSON Schema are made from it.
// To add one: its field in options.ts, its entry here, and the place that uses it.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { CHANNEL, CHANNEL_ARGUMENT } from './channel.js';
import { LOG_LEVELS, PRESET_NAMES, type SettingName, type Settings } from './options.js';
import { displayNumber, numberFrom, oneOf, textual, wordsOr, type JsonSchema, type ValueType } from './value.js';

/** X11 over TCP uses port 6000 + N, so no display number beyond this one exists. */
const DISPLAY_MAX = 65_535 - 6000;
/** Longer spinning than this burns more than any wake-up costs. */
const SPIN_MICROS_MAX = 1000;
/** The addon's own limit: every client needs descriptors and threads, which a process has no more of. */
const CLIENTS_MAX = 65_536;
/** A port up to 65535, behind a host or not. */
const PORT = /^(?:[\w.-]+:|\[[\da-fA-F:.]+\]:)?(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])$/;
/** A server that takes longer is not there; a shorter limit would not let a busy one answer. In seconds. */
const HOST_TIMEOUT = { min: 0.1, max: 600 };

/** One setting. */
export interface Setting<Value> {
  /** Its name in files, and on the command line behind two dashes. */
  readonly key: string;
  /** The placeholder in the help text. */
  readonly argument: string;
  /** What it is, in one line. */
  readonly help: string;
  /** What holds when it isn't given, in words. */
  readonly fallback: string;
  /** That value as a person would write it; a function where it comes from the environment, undefined there for none. */
  readonly standard: string | number | ((env: NodeJS.ProcessEnv) => string | undefined);
  readonly type: ValueType<Value>;
  /** Whether a reload applies it: `now`, to clients from their next `request` on, to clients that connect `later`, or at the next `start`. */
  readonly applies: 'now' | 'request' | 'later' | 'start';
  /** Whether it is an option of `startBridge` too, or the command's alone. */
  readonly of: 'bridge' | 'command';
}

type Schema = { readonly [Name in SettingName]: Setting<Settings[Name]> };

/** Every setting, in the order of the help text. */
export const SCHEMA: Schema = {
  display: {
    key: 'display',
    argument: ':N|auto',
    help: 'display number to serve',
    fallback: 'auto, the first free one',
    standard: 'auto',
    type: wordsOr({ auto: undefined }, displayNumber(DISPLAY_MAX)),
    applies: 'start',
    of: 'bridge',
  },
  socket: {
    key: 'socket',
    argument: 'PATH',
    help: 'absolute path of a socket to listen on in place of a display, to be seen elsewhere as /tmp/.X11-unix/XN, since few programs open another path; who may open it may connect, and needs no cookie',
    fallback: 'none, a display is served',
    standard: () => undefined,
    type: textual('an absolute path', { paths: 'file', pattern: /^\// }),
    applies: 'start',
    of: 'bridge',
  },
  hostDisplay: {
    key: 'host-display',
    argument: 'NAME',
    help: 'X server to carry clients to: :0, :0.0, unix:0, host:0.0 or the path of a socket; virtgpu, vsock and tcp need none',
    fallback: '$DISPLAY',
    standard: (env) => env['DISPLAY'],
    type: textual('the name of a display, such as :0'),
    applies: 'start',
    of: 'bridge',
  },
  hostXauthority: {
    key: 'host-xauthority',
    argument: 'FILE',
    help: "Xauthority file with that server's cookie; read anew for each client",
    fallback: '$XAUTHORITY, else ~/.Xauthority; none for virtgpu, vsock and tcp',
    standard: (env) => env['XAUTHORITY'] || join(homedir(), '.Xauthority'),
    type: textual('the path of a file', { paths: 'file' }),
    applies: 'later',
    of: 'bridge',
  },
  channel: {
    key: 'channel',
    argument: CHANNEL_ARGUMENT,
    help: 'how bytes reach the X server; --log-level info says what auto chose and why',
    fallback: 'auto',
    standard: 'auto',
    type: CHANNEL,
    applies: 'start',
    of: 'bridge',
  },
  renderNode: {
    key: 'render-node',
    argument: 'PATH',
    help: 'absolute path of the render node of the virtio-gpu device',
    fallback: 'the first one in /dev/dri of the driver virtio_gpu that leads to a host',
    standard: () => undefined,
    type: textual('an absolute path', { paths: 'file', pattern: /^\// }),
    applies: 'start',
    of: 'bridge',
  },
  dri3: {
    key: 'dri3',
    argument: 'auto|on|off',
    help: 'whether clients are offered DRI3; auto: where the channel carries buffers, on: or there is no bridge',
    fallback: 'auto',
    standard: 'auto',
    type: oneOf(['auto', 'on', 'off']),
    applies: 'later',
    of: 'bridge',
  },
  fences: {
    key: 'fences',
    argument: 'auto|shared|relay|off',
    help: 'how the fences of DRI3 reach an X server on another kernel; auto: shared where they lie in memory of both, else relayed, and as descriptors where there is one kernel, shared: not relayed in any case, relay: always, on loopback too, off: not at all, so that DRI3 is hidden',
    fallback: 'auto',
    standard: 'auto',
    type: oneOf(['auto', 'shared', 'relay', 'off']),
    applies: 'start',
    of: 'bridge',
  },
  shm: {
    key: 'shm',
    argument: 'auto|fd|hide',
    help: 'how much of MIT-SHM clients are offered where the channel carries descriptors; auto: System V segments too, fd: only segments by descriptor, and pixmaps in them',
    fallback: 'auto',
    standard: 'auto',
    type: oneOf(['auto', 'fd', 'hide']),
    applies: 'later',
    of: 'bridge',
  },
  policy: {
    key: 'policy',
    argument: 'open|guest|isolated|FILE',
    help: 'what clients may do: a preset, or a file with rules, by its path or its name in the folder policies of the configuration',
    fallback: 'open; of "x11bridge guard": guest',
    standard: 'open',
    type: { ...textual('open, guest, isolated, or the path or name of a file with rules', { paths: 'file' }), words: PRESET_NAMES },
    applies: 'request',
    of: 'bridge',
  },
  spin: {
    key: 'spin',
    argument: 'auto|off|MICROS',
    help: `how long a thread tries again before it sleeps, 1 to ${SPIN_MICROS_MAX} microseconds`,
    fallback: 'auto',
    standard: 'auto',
    type: wordsOr({ auto: undefined, off: 0 }, numberFrom(1, SPIN_MICROS_MAX, { of: 'microseconds', integer: true })),
    applies: 'later',
    of: 'bridge',
  },
  clientsMax: {
    key: 'clients-max',
    argument: 'N',
    help: `how many clients may be connected at once, 1 to ${CLIENTS_MAX}`,
    fallback: '512',
    standard: 512,
    type: numberFrom(1, CLIENTS_MAX, { integer: true }),
    applies: 'later',
    of: 'bridge',
  },
  hostTimeout: {
    key: 'host-timeout',
    argument: 'SECONDS',
    help: `how long the X server may take to answer a client's set-up, ${HOST_TIMEOUT.min} to ${HOST_TIMEOUT.max}, before the client is refused`,
    fallback: '4.5',
    standard: 4.5,
    type: numberFrom(HOST_TIMEOUT.min, HOST_TIMEOUT.max, { of: 'seconds' }),
    applies: 'later',
    of: 'bridge',
  },
  runtimeDir: {
    key: 'runtime-dir',
    argument: 'DIR',
    help: 'absolute path of a folder of mode 0700 for the private Xauthority file',
    fallback: '$XDG_RUNTIME_DIR/x11bridge, else a folder of your own in $TMPDIR or /tmp',
    standard: () => undefined,
    type: textual('an absolute path', { paths: 'directory', pattern: /^\// }),
    applies: 'start',
    of: 'bridge',
  },
  metrics: {
    key: 'metrics',
    argument: 'off|unix|[HOST:]PORT',
    help: 'where Prometheus may ask for the figures: a Unix socket in the runtime directory, or beside the socket of a guard or a host, or a TCP port, of this machine alone unless HOST says other',
    fallback: 'off',
    standard: 'off',
    type: wordsOr({ off: undefined, unix: 'unix' }, textual('a port such as "9600" or "127.0.0.1:9600"', { pattern: PORT })),
    applies: 'now',
    of: 'command',
  },
  logLevel: {
    key: 'log-level',
    argument: LOG_LEVELS.join('|'),
    help: 'what to write to stderr',
    fallback: 'warn',
    standard: 'warn',
    type: oneOf(LOG_LEVELS),
    applies: 'now',
    of: 'command',
  },
};

/** The names of all settings, in the order of the help text. */
export const SETTING_NAMES = Object.keys(SCHEMA) as readonly SettingName[];

/** The setting with this key, if there is one. */
export function settingOfKey(key: string): SettingName | undefined {
  return SETTING_NAMES.find((name) => SCHEMA[name].key === key);
}

/** The variable that sets it, such as `X11BRIDGE_CLIENTS_MAX`. */
export function variableOf(name: SettingName): string {
  return `X11BRIDGE_${SCHEMA[name].key.replaceAll('-', '_').toUpperCase()}`;
}

/** The JSON Schema of a configuration file, for editors. */
export function jsonSchema(): JsonSchema {
  const properties = SETTING_NAMES.map((name) => {
    const { key, help, fallback, type } = SCHEMA[name];
    return [key, { description: `${help} (default: ${fallback})`, ...type.schema }];
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'config.toml of x11bridge',
    type: 'object',
    additionalProperties: false,
    properties: {
      ...(Object.fromEntries(properties) as JsonSchema),
      bridge: {
        description: 'one of several bridges of "x11bridge serve" or "x11bridge guard", with what is its own; what stands above holds for all',
        type: 'array',
        items: { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties.filter(([key]) => key !== SCHEMA.logLevel.key)) as JsonSchema },
      },
    },
  };
}
