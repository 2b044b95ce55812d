// The options of a bridge, as its callers write them and as the session needs them.

/**
 * How client bytes reach the X server. `virtgpu` is the GPU device of a virtual machine, `vsock` and `tcp` are byte pipes to a
 * listener of its host, `loopback` runs the whole virtual-machine protocol within this process, `socket` relays to the server's
 * own socket.
 */
export type ChannelName = 'virtgpu' | 'vsock' | 'tcp' | 'loopback' | 'socket';

/** A channel as an option names it: a byte pipe with its address. */
export type ChannelOption = 'auto' | Exclude<ChannelName, 'vsock' | 'tcp'> | `vsock:${number}:${number}` | `tcp:${string}:${number}`;

/** The policies that are built in, the most permissive first. */
export const PRESET_NAMES = ['open', 'guest', 'isolated'] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** What `startBridge` takes; every field may be left out. */
export interface BridgeOptions {
  /** The display number to serve, such as `:3`, from `:0` to `:59535`. Default `auto`: the first free one. */
  display?: 'auto' | `:${number}`;
  /**
   * The absolute path of a socket to listen on in place of a display. It is made with mode 0600: who may open it may connect, and needs
   * no cookie.
   */
  socket?: string;
  /**
   * The X server to carry clients to: `:0`, `:0.0`, `unix:0`, `host:0.0` or the path of a socket. Default `$DISPLAY`. Not needed by
   * `virtgpu`, `vsock` and `tcp`, which lead to the host's; there its number only chooses among the entries of `hostXauthority`.
   */
  hostDisplay?: string;
  /**
   * The Xauthority file with that server's cookie. Default `$XAUTHORITY`, else `~/.Xauthority`; none with `virtgpu`, `vsock` and
   * `tcp`. It is read anew for each client.
   */
  hostXauthority?: string | undefined;
  /**
   * Default `auto`: the socket of `hostDisplay` if that is given, else `virtgpu`, else `vsock:2:6000` where the host listens, else the
   * socket of `$DISPLAY`; `Bridge.channelReason` says why. A TCP address of IPv6 stands in brackets.
   */
  channel?: ChannelOption;
  /** The path of the virtio-gpu device's render node. Default: the first one in `/dev/dri` whose driver is `virtio_gpu`. */
  renderNode?: string;
  /** Whether clients are offered DRI3: `auto`, the default, where the channel carries buffers; `on` makes it a condition of the start. */
  dri3?: 'auto' | 'on' | 'off';
  /** How DRI3's fences reach an X server on another kernel: `auto`, the default, shared where they lie in memory of both, else relayed where the host half can; `shared` never relayed; `relay` always, on `loopback` too; `off` not at all, so that DRI3 is hidden. */
  fences?: 'auto' | 'shared' | 'relay' | 'off';
  /** How much of MIT-SHM clients are offered where the channel carries descriptors: `auto`, the default, all but pixmaps in segments; `fd` only segments by descriptor, and pixmaps in them; `hide` nothing. */
  shm?: 'auto' | 'fd' | 'hide';
  /**
   * What clients may do: `open` everything (the default), `guest` nothing to windows of others and to the whole screen, `isolated` nothing
   * of others' properties, windows and clipboard either, or the path of a file with rules, or its name in the folder `policies` of the configuration.
   */
  policy?: string;
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
  /** descriptors of the display's sockets that a service manager has passed; no setting */
  readonly inherited?: readonly number[];
  /** undefined: the first free number */
  readonly display: number | undefined;
  /** undefined: a display */
  readonly socket: string | undefined;
  /** undefined: only a channel that leads to the host will do */
  readonly hostDisplay: string | undefined;
  /** whether an option named it, so that `auto` takes no other */
  readonly hostDisplayNamed: boolean;
  readonly hostXauthority: string | undefined;
  readonly channel: ChannelOption;
  readonly renderNode: string | undefined;
  readonly dri3: 'auto' | 'on' | 'off';
  readonly fences: 'auto' | 'shared' | 'relay' | 'off';
  readonly shm: 'auto' | 'fd' | 'hide';
  /** a preset, a path or a name; undefined: `open` */
  readonly policy: string | undefined;
  /** microseconds; undefined: adapts; 0: off */
  readonly spin: number | undefined;
  readonly clientsMax: number | undefined;
  /** seconds */
  readonly hostTimeout: number | undefined;
  readonly runtimeDir: string | undefined;
}

/**
 * The options that may change while a bridge runs. What is left out takes its default; but `policy`, `dri3` and `shm` stay as they are
 * then.
 */
export type LiveOptions = Pick<BridgeOptions, 'hostXauthority' | 'spin' | 'clientsMax' | 'hostTimeout' | 'policy' | 'dri3' | 'shm'>;

/** The same after validation; undefined where it stays as it is, or takes its default. */
export type LiveConfig = Pick<BridgeConfig, 'hostXauthority' | 'spin' | 'clientsMax' | 'hostTimeout'> & { readonly [Name in 'dri3' | 'shm']?: BridgeConfig[Name] | undefined };

/** The names of log levels, from the quietest on. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

/** How much the command writes to stderr. */
export type LogVerbosity = (typeof LOG_LEVELS)[number];

/** What the command takes besides the options of a bridge. */
export interface CommandConfig {
  /** `unix`, or HOST:PORT, or a port of this machine alone; undefined: off */
  readonly metrics: string | undefined;
  readonly logLevel: LogVerbosity;
}

/** Everything that can be set by a flag, a variable or a line of a file. */
export type Settings = Omit<BridgeConfig, 'hostDisplayNamed' | 'inherited'> & CommandConfig;

/** All of it after validation. */
export type ResolvedSettings = BridgeConfig & CommandConfig;

export type SettingName = keyof Settings;
