// A running bridge, as its owner sees it.

import { ResultAsync, type Result } from 'neverthrow';
import type { ChannelName, LiveConfig, LiveOptions } from '../config/options.js';
import { resolveLiveOptions } from '../config/resolve.js';
import type { BridgeError } from '../errors.js';
import { Handle } from '../handle.js';
import { reconfigureNative, traceNative, type BindingBridge, type BindingTraceBatch, type BindingTraceStart } from '../native/index.js';
import type { PolicyTable } from '../policy/compile.js';
import { loadPolicy } from '../policy/load.js';
import type { ClientStatus } from './client-status.js';
import { emissionOf, type BridgeEvents, type Emission, type Totals } from './events.js';

/** Counts over the whole life of a bridge. */
export interface BridgeStats {
  /** Connected now, those whose set-up isn't finished included. */
  readonly clients: number;
  /** Ever connected. */
  readonly clientsTotal: number;
  /** Turned away: over the limit, without a valid cookie, or while the system was out of resources. */
  readonly clientsRefused: number;
  /** Faults of the bridge that closed one client each; anything but 0 deserves a report. */
  readonly panics: number;
  readonly totals: Totals;
  /** Measured round trips of all these clients, in the classes of {@link ClientStatus.roundTrips}. */
  readonly roundTrips: readonly number[];
  /** The sum of their times in microseconds. */
  readonly roundTripMicros: number;
  /** How the thread sleeps that watches relayed fences, `io_uring`, `futex_waitv` or `threads`; absent while there is none. */
  readonly fenceWatcher?: string;
}

/** A bridge that accepts X11 clients. It keeps the process alive until it is closed. */
export interface Bridge extends AsyncDisposable {
  /** The display that it serves, such as `:3`, or the path of its socket: clients take either as `DISPLAY`. */
  readonly display: string;
  readonly channel: ChannelName;
  /** One line: why that channel. */
  readonly channelReason: string;
  /** The path of the private Xauthority file with the cookie for clients; undefined where they need none. */
  readonly xauthority: string | undefined;
  /** The path of the listening socket; clients find it by the display's number. */
  readonly socketPath: string;
  /** What a client needs in its environment. */
  readonly env: { readonly DISPLAY: string; readonly XAUTHORITY?: string };
  /** Resolves when the bridge is closed, however that came about; never rejects. */
  readonly closed: Promise<void>;
  stats(): BridgeStats;
  /** Every connected client, in the order of their numbers. Takes up to 50 ms while clients are very busy. */
  clients(): Promise<readonly ClientStatus[]>;
  /** Closes a client's connection. @returns false when no client has this number */
  closeClient(client: number): boolean;
  /**
   * Changes the policy, for every client from its next request on, and these options for clients that connect from now on; those that are
   * connected stay. Senseless options change nothing, nor does a policy that the X server has to be asked about and does not answer.
   */
  reconfigure(options: LiveOptions): ResultAsync<void, BridgeError>;
  on<Name extends keyof BridgeEvents>(event: Name, listener: (...args: BridgeEvents[Name]) => void): this;
  once<Name extends keyof BridgeEvents>(event: Name, listener: (...args: BridgeEvents[Name]) => void): this;
  off<Name extends keyof BridgeEvents>(event: Name, listener: (...args: BridgeEvents[Name]) => void): this;
  /**
   * Stops listening, gives clients up to 2 seconds to receive what is queued for them, and removes the socket, the lock file
   * and the Xauthority file. Every call returns the same promise, which never rejects.
   */
  close(): Promise<void>;
}

/** The bridge over the addon's handle. */
export class NativeBridge extends Handle<BridgeEvents> implements Bridge {
  readonly display: string;
  readonly channel: ChannelName;
  readonly channelReason: string;
  readonly xauthority: string | undefined;
  readonly socketPath: string;
  readonly env: { readonly DISPLAY: string; readonly XAUTHORITY?: string };

  readonly #native: BindingBridge;
  #policy: PolicyTable | undefined;
  /** When the last change of the options is through. */
  #changed: Promise<unknown> = Promise.resolve();
  #onRecords: (() => void) | undefined;

  constructor(native: BindingBridge, policy?: PolicyTable) {
    super();
    this.#native = native;
    this.#policy = policy;
    this.channel = native.channel as ChannelName;
    this.channelReason = native.channelReason;
    this.xauthority = native.xauthority ?? undefined;
    this.socketPath = native.socketPath;
    this.display = native.display === null ? native.socketPath : `:${native.display}`;
    this.env = { DISPLAY: this.display, ...(this.xauthority !== undefined && { XAUTHORITY: this.xauthority }) };
  }

  /** What clients that connect now may do. */
  get policy(): PolicyTable | undefined {
    return this.#policy;
  }

  stats(): BridgeStats {
    return this.#native.stats();
  }

  async clients(): Promise<readonly ClientStatus[]> {
    return this.#native.clients();
  }

  closeClient(client: number): boolean {
    return Number.isSafeInteger(client) && this.#native.closeClient(client);
  }

  reconfigure(options: LiveOptions): ResultAsync<void, BridgeError> {
    return resolveLiveOptions(options).asyncAndThen((config) => {
      if (config.policy === undefined) return this.apply(config, undefined);
      return loadPolicy(config.policy, process.env).asyncAndThen((table) => this.apply(config, table));
    });
  }

  /**
   * The same with options that are checked already.
   * @param policy undefined leaves it as it is
   */
  apply(config: LiveConfig, policy: PolicyTable | undefined): ResultAsync<void, BridgeError> {
    // One after the other, in the order of the calls: each begins with what the one before has left.
    const turn = this.#changed.then(() => reconfigureNative(this.#native, config, policy));
    this.#changed = turn;
    return new ResultAsync(turn).map(() => void (this.#policy = policy ?? this.#policy));
  }

  /**
   * Begins to tell every message, of one client or of all.
   * @param names extensions whose numbers are to be known
   * @param onRecords called when `takeTrace` has something after it had nothing
   */
  async trace(client: number | undefined, names: readonly string[], onRecords: () => void): Promise<Result<BindingTraceStart, BridgeError>> {
    const begun = await traceNative(this.#native, client, names);
    if (begun.isOk()) this.#onRecords = onRecords;
    return begun;
  }

  /** What was to tell since the last time. */
  takeTrace(): BindingTraceBatch {
    return this.#native.takeTrace();
  }

  endTrace(): void {
    this.#onRecords = undefined;
    this.#native.endTrace();
  }

  override deliverEvents(): void {
    super.deliverEvents();
    this.#onRecords?.();
  }

  protected override taken(): readonly (Emission | undefined)[] {
    return this.#native.takeEvents().map(emissionOf);
  }

  protected override failed(message: string): Emission {
    return ['log', { level: 'error', message }];
  }

  protected override ended(): Emission {
    return ['closed'];
  }

  protected override stop(): void {
    this.#native.stopTaking();
  }

  protected override finish(): Promise<void> {
    return this.#native.close();
  }
}
