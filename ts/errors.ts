// Everything that can go wrong, as one union. The `kind` strings are stable API: callers may switch on them.

/** Who has to act: the person with the options, an X11 client, the X server's side, or the authors of the bridge. */
export type BlamedSide = 'user' | 'client' | 'host' | 'bridge';

interface Failure<Kind extends string> {
  /** Which failure; stable from version to version. */
  readonly kind: Kind;
  /** One sentence without a full stop: the cause, and what to do about it where that is known. */
  readonly message: string;
  readonly side: BlamedSide;
  /** Whether the same call may succeed later without any change. */
  readonly retry: boolean;
}

/** An option's value makes no sense. */
export type InvalidOption = Failure<'invalid-option'>;
/** A configuration file can't be read, or has a key or value that makes no sense; the message names the line. */
export type InvalidConfig = Failure<'invalid-config'>;
/** The channel that was asked for can't be had here. */
export type ChannelUnavailable = Failure<'channel-unavailable'>;
/** A policy can't be read, or one of its rules makes no sense. */
export type InvalidPolicy = Failure<'invalid-policy'>;
/** The display number that was asked for belongs to another X server or bridge. */
export type DisplayTaken = Failure<'display-taken'>;
/** Every display number that `auto` may try is taken. */
export type NoFreeDisplay = Failure<'no-free-display'>;
/** Another process listens on the socket that was asked for. */
export type SocketTaken = Failure<'socket-taken'>;
/** The system refused access to a file or socket. */
export type PermissionDenied = Failure<'permission-denied'>;
/** The runtime directory can't be made, isn't private, or has no room. */
export type RuntimeDirUnusable = Failure<'runtime-dir'>;
/** Any other system call that failed; the message names it. */
export type SystemCallFailed = Failure<'os'>;
/** The compiled addon for this platform isn't installed, doesn't load, or is of another version. */
export type AddonMissing = Failure<'addon-missing'>;
/** QEMU, a kernel or the tools for a guest aren't there, or are too old. */
export type VmPartMissing = Failure<'vm-missing'>;
/** A guest did not start, or ended before its program. */
export type VmFailed = Failure<'vm-failed'>;
/** The AbortSignal was aborted before the bridge had started. */
export type Aborted = Failure<'aborted'>;
/** No bridge that could be asked serves the display. */
export type NotRunning = Failure<'not-running'>;
/** Somebody else does already what only one can do at a time. */
export type Busy = Failure<'busy'>;
/** A fault of the bridge itself. */
export type InternalFault = Failure<'internal'>;

/** Why a bridge or a host half could not start. */
export type BridgeError =
  | InvalidOption
  | InvalidConfig
  | ChannelUnavailable
  | InvalidPolicy
  | DisplayTaken
  | NoFreeDisplay
  | SocketTaken
  | PermissionDenied
  | RuntimeDirUnusable
  | SystemCallFailed
  | AddonMissing
  | VmPartMissing
  | VmFailed
  | Aborted
  | NotRunning
  | Busy
  | InternalFault;

/** The stable name of a failure. */
export type BridgeErrorKind = BridgeError['kind'];

const SIDE_OF: Readonly<Record<BridgeErrorKind, BlamedSide>> = {
  'invalid-option': 'user',
  'invalid-config': 'user',
  'channel-unavailable': 'host',
  'invalid-policy': 'user',
  'display-taken': 'user',
  'no-free-display': 'user',
  'socket-taken': 'user',
  'permission-denied': 'user',
  'runtime-dir': 'user',
  os: 'bridge',
  'addon-missing': 'user',
  'vm-missing': 'user',
  'vm-failed': 'host',
  aborted: 'user',
  'not-running': 'user',
  busy: 'user',
  internal: 'bridge',
};

/** Builds an error; `side` is the usual one of its kind unless given. */
export function failure(kind: BridgeErrorKind, message: string, rest: { side?: BlamedSide; retry?: boolean } = {}): BridgeError {
  return { kind, message, side: rest.side ?? SIDE_OF[kind], retry: rest.retry ?? false };
}

/** Whether a string from elsewhere is one of the kinds above. */
export function isErrorKind(kind: string): kind is BridgeErrorKind {
  return Object.hasOwn(SIDE_OF, kind);
}

/** Whether a string from elsewhere names a side. */
export function isSide(side: string): side is BlamedSide {
  return side === 'user' || side === 'client' || side === 'host' || side === 'bridge';
}

/** The command's exit code for a failure: 2 when it was called wrongly, 1 otherwise. */
export function exitCodeOf(kind: BridgeErrorKind): 1 | 2 {
  return kind === 'invalid-option' ? 2 : 1;
}
