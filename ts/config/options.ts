// The options of a bridge: their types, and one table with the rules that the command line and the API share.

import { err, ok, type Result } from 'neverthrow';

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

/** X11 over TCP uses port 6000 + N, so no display number beyond this one exists. */
const DISPLAY_MAX = 65_535 - 6000;
/** Longer spinning than this burns more than any wake-up costs. */
const SPIN_MICROS_MAX = 1000;
/** The addon's own limit: every client needs descriptors and threads, which a process has no more of. */
const CLIENTS_MAX = 65_536;

/** A server that takes longer is not there; a shorter limit would not let a busy one answer. In seconds. */
const HOST_TIMEOUT = { min: 0.1, max: 600 };

/** One option: how it is written and checked. `check` gives the checked value, or what is wrong after the value's name. */
export interface OptionRule<Value> {
  /** The name on the command line, without dashes. */
  readonly flag: string;
  /** The placeholder in the help text. */
  readonly argument: string;
  readonly help: string;
  /** What holds when it isn't given; for the help text. */
  readonly fallback: string;
  /** Whether digits on the command line stand for a number. */
  readonly numeric?: true;
  readonly check: (value: unknown) => Result<Value, string>;
}

type Rules = { readonly [Name in OptionName]: OptionRule<BridgeConfig[Name]> };

/** The names that `--log-level` takes, from the quietest on. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

/** How much the command writes to stderr. */
export type LogVerbosity = (typeof LOG_LEVELS)[number];

/** The rule of each option, in the order of the help text. */
export const OPTION_RULES: Rules = {
  display: {
    flag: 'display',
    argument: ':N|auto',
    help: 'display number to serve',
    fallback: 'auto, the first free one',
    check: checkDisplay,
  },
  hostDisplay: {
    flag: 'host-display',
    argument: 'NAME',
    help: 'X server to carry clients to: :0, :0.0, unix:0, host:0.0 or the path of a socket',
    fallback: '$DISPLAY',
    check: (value) => checkText(value, 'the name of a display, such as :0'),
  },
  hostXauthority: {
    flag: 'host-xauthority',
    argument: 'FILE',
    help: "Xauthority file with that server's cookie",
    fallback: '$XAUTHORITY, else ~/.Xauthority',
    check: (value) => checkText(value, 'the path of a file'),
  },
  channel: {
    flag: 'channel',
    argument: 'auto|loopback|socket',
    help: 'how bytes reach the X server',
    fallback: 'auto',
    check: checkChannel,
  },
  spin: {
    flag: 'spin',
    argument: 'auto|off|MICROS',
    help: `how long to try again before sleeping, up to ${SPIN_MICROS_MAX} microseconds`,
    fallback: 'auto',
    numeric: true,
    check: checkSpin,
  },
  clientsMax: {
    flag: 'clients-max',
    argument: 'N',
    help: `how many clients may be connected at once, up to ${CLIENTS_MAX}`,
    fallback: '512',
    numeric: true,
    check: (value) => checkInteger(value, CLIENTS_MAX, `a number from 1 to ${CLIENTS_MAX}`),
  },
  hostTimeout: {
    flag: 'host-timeout',
    argument: 'SECONDS',
    help: `how long the X server may take to answer a client's set-up, ${HOST_TIMEOUT.min} to ${HOST_TIMEOUT.max}`,
    fallback: '4.5',
    numeric: true,
    check: checkHostTimeout,
  },
  runtimeDir: {
    flag: 'runtime-dir',
    argument: 'DIR',
    help: 'folder for the private Xauthority file',
    fallback: '$XDG_RUNTIME_DIR/x11bridge, else a folder of your own in $TMPDIR or /tmp',
    check: checkAbsolutePath,
  },
};

function checkDisplay(value: unknown): Result<number | undefined, string> {
  if (value === 'auto') return ok(undefined);
  const digits = typeof value === 'string' ? /^:(\d{1,5})$/.exec(value)?.[1] : undefined;
  const number = Number(digits ?? Number.NaN);
  return number <= DISPLAY_MAX ? ok(number) : refuse(value, `auto or a display from :0 to :${DISPLAY_MAX}`);
}

function checkChannel(value: unknown): Result<BridgeConfig['channel'], string> {
  if (value === 'auto' || value === 'loopback' || value === 'socket') return ok(value);
  return refuse(value, 'auto, loopback or socket');
}

function checkSpin(value: unknown): Result<number | undefined, string> {
  if (value === 'auto') return ok(undefined);
  if (value === 'off') return ok(0);
  return checkInteger(value, SPIN_MICROS_MAX, `auto, off or a number of microseconds from 1 to ${SPIN_MICROS_MAX}`);
}

function checkInteger(value: unknown, max: number, wanted: string): Result<number, string> {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return ok(value);
  return refuse(value, wanted);
}

function checkHostTimeout(value: unknown): Result<number, string> {
  const { min, max } = HOST_TIMEOUT;
  return typeof value === 'number' && value >= min && value <= max ? ok(value) : refuse(value, `a number of seconds from ${min} to ${max}`);
}

function checkAbsolutePath(value: unknown): Result<string, string> {
  return checkText(value, 'an absolute path').andThen((path) => (path.startsWith('/') ? ok(path) : refuse(path, 'an absolute path')));
}

function checkText(value: unknown, wanted: string): Result<string, string> {
  // A NUL would end the string early in every system call.
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return ok(value);
  return refuse(value, wanted);
}

function refuse(value: unknown, wanted: string): Result<never, string> {
  return err(`must be ${wanted}, not ${shown(value)}`);
}

/** A value as the person wrote it, on one line and short. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
