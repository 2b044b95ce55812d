// The options of a host half, as its callers write them and as the addon needs them.

import type { Settings } from './options.js';

/** What `startHost` takes; every field but the socket may be left out. */
export interface HostOptions {
  /** The path of the socket that QEMU connects to, of at most 107 bytes. */
  socket: string;
  /** The X server that programs of the guest reach: `:0`, `:0.0`, `unix:0`, `host:0.0` or the path of a socket. Default `$DISPLAY`. */
  hostDisplay?: string;
  /** The Xauthority file with that server's cookie. Default `$XAUTHORITY`, else `~/.Xauthority`. It is read anew for each program. */
  hostXauthority?: string;
  /** How many seconds the X server may take to accept a connection, 0.1 to 600. Default 4.5. */
  hostTimeout?: number;
  /**
   * What programs of the guest may do, as with `startBridge`; enforced here, where the guest can't get round it. Default
   * `open`.
   */
  policy?: string;
  /** How many programs of the guest may be connected at once, 1 to 65,536. Default 512. */
  contextsMax?: number;
  /**
   * How many MiB the guest may keep in the `/dev/shm` that it shares with the host, 0 to 1,048,576; 0 for none. Default 1024. QEMU
   * connects to it by a second socket, whose path ends in `.shm`.
   */
  devShm?: number;
  /** Closes the host half when aborted; aborted before the start, nothing is started. */
  signal?: AbortSignal;
}

/** The options after validation. */
export interface HostConfig extends Pick<Settings, 'hostXauthority' | 'hostTimeout' | 'policy'> {
  readonly hostDisplay: string;
  /** absolute */
  readonly socket: string;
  readonly contextsMax: number | undefined;
  /** undefined: the guest shares none */
  readonly devShm: DevShm | undefined;
}

/** The guest's `/dev/shm`, as a device of its own. */
export interface DevShm {
  /** absolute */
  readonly socket: string;
  readonly mib: number;
}
