// The options of a bridge, as its callers write them and as the session needs them.

/** How client bytes reach the X server. `loopback` runs the whole virtual-machine protocol within this process, `socket` relays to the server's Unix socket. */
export type ChannelName = 'loopback' | 'socket';

/** What `startBridge` takes; every field may be left out. */
export interface BridgeOptions {
  /** The display number to serve, such as `:3`, from `:0` to `:59535`. Default `auto`: the first free one. */
  display?: 'auto' | `:${number}`;
  /** The X server to carry clients to: `:0`, `:0.0`, `unix:0`, `host:0.0` or the path of a socket. Default `$DISPLAY`. */
  hostDisplay?: string;
  /** The Xauthority file with that server's cookie. Default `$XAUTHORITY`, else `~/.Xauthority`. It is read anew for each client. */
  hostXauthority?: string;
  /** Default `auto`: the best that works here; `Bridge.channelReason` says why. */
  channel?: 'auto' | ChannelName;
  /** How long a thread tries again before it sleeps: `auto` adapts (the default), `off` never, or microseconds from 1 to 1000. */
  spin?: 'auto' | 'off' | number;
  /** How many clients may be connected at once, 1 to 65,536. Default 512. */
  clientsMax?: number;
  /** How many seconds the X server may take to answer a client's set-up, 0.1 to 600, before the client is refused. Default 4.5. */
  hostTimeout?: number;
  /** The absolute path of a folder for the private Xauthority file; made with mode 0700 when missing, but not its parents. Default `$XDG_RUNTIME_DIR/x11bridge`, else a folder of your own in `$TMPDIR` or `/tmp`. */
  runtimeDir?: string;
  /** Closes the bridge when aborted; aborted before the start, nothing is started. */
  signal?: AbortSignal;
}

/** The options that have a value a person can write. */
export type OptionName = Exclude<keyof BridgeOptions, 'signal'>;

/** The options after validation, in the shape that the session needs. */
export interface BridgeConfig {
  /** undefined: the first free number */
  readonly display: number | undefined;
  readonly hostDisplay: string;
  readonly hostXauthority: string | undefined;
  readonly channel: 'auto' | ChannelName;
  /** microseconds; undefined: adapts; 0: off */
  readonly spin: number | undefined;
  readonly clientsMax: number | undefined;
  /** seconds */
  readonly hostTimeout: number | undefined;
  readonly runtimeDir: string | undefined;
}

/** The options that may change while a bridge runs; what is left out takes its default. */
export type LiveOptions = Pick<BridgeOptions, 'hostXauthority' | 'spin' | 'clientsMax' | 'hostTimeout'>;

/** The same after validation. */
export type LiveConfig = Pick<BridgeConfig, keyof LiveOptions>;

/** The names of log levels, from the quietest on. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

/** How much the command writes to stderr. */
export type LogVerbosity = (typeof LOG_LEVELS)[number];

/** What the command takes besides the options of a bridge. */
export interface CommandConfig {
  readonly logLevel: LogVerbosity;
}

/** Everything that can be set by a flag, a variable or a line of a file. */
export type Settings = BridgeConfig & CommandConfig;

export type SettingName = keyof Settings;
