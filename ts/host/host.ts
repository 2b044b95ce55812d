// A running host half, as its owner sees it.

import { SafeEmitter } from '../emitter.js';
import { onExit } from '../exit.js';
import type { BindingHost } from '../native/index.js';
import { hostEmissionOf, type HostEvents } from './events.js';
import type { HostGuard } from './guard.js';
import { qemuArguments } from './qemu.js';

/** A host half that a virtual machine monitor can connect to. It keeps the process alive until it is closed. */
export interface Host extends AsyncDisposable {
  /** The path of the socket. */
  readonly socket: string;
  /** What QEMU needs on its command line for the devices; its memory must be shared too, see the README. */
  readonly qemuArguments: readonly string[];
  /** Resolves when the host half is closed, however that came about; never rejects. */
  readonly closed: Promise<void>;
  on<Name extends keyof HostEvents>(event: Name, listener: (...args: HostEvents[Name]) => void): this;
  once<Name extends keyof HostEvents>(event: Name, listener: (...args: HostEvents[Name]) => void): this;
  off<Name extends keyof HostEvents>(event: Name, listener: (...args: HostEvents[Name]) => void): this;
  /**
   * Ends all contexts, disconnects the virtual machine monitor and removes the socket. Every call returns the same promise, which
   * never rejects.
   */
  close(): Promise<void>;
}

/** The host half over the addon's handle. */
export class NativeHost implements Host {
  readonly socket: string;
  readonly qemuArguments: readonly string[];
  readonly closed: Promise<void>;

  readonly #native: BindingHost;
  readonly #emitter = new SafeEmitter<HostEvents>();
  readonly #stop = (): void => this.#native.stop();
  #closing = false;
  #resolveClosed: () => void = () => undefined;

  /**
   * @param devShm the socket of the guest's /dev/shm
   * @param guard what stands between its contexts and the X server
   */
  constructor(
    native: BindingHost,
    devShm: string | undefined,
    readonly guard?: HostGuard,
  ) {
    this.#native = native;
    guard?.bridge.on('log', (line) => this.#emitter.emit(['log', line]));
    onExit(this.#stop, true);
    this.socket = native.socket;
    this.qemuArguments = qemuArguments(native.socket, devShm);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  on<Name extends keyof HostEvents>(event: Name, listener: (...args: HostEvents[Name]) => void): this {
    this.#emitter.on(event, listener);
    return this;
  }

  once<Name extends keyof HostEvents>(event: Name, listener: (...args: HostEvents[Name]) => void): this {
    this.#emitter.once(event, listener);
    return this;
  }

  off<Name extends keyof HostEvents>(event: Name, listener: (...args: HostEvents[Name]) => void): this {
    this.#emitter.off(event, listener);
    return this;
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = true;
      void this.#finish();
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Emits everything that the addon has queued. */
  deliverEvents(): void {
    for (const event of this.#native.takeEvents()) {
      const emission = hostEmissionOf(event);
      if (emission !== undefined) this.#emitter.emit(emission);
    }
  }

  async #finish(): Promise<void> {
    try {
      await this.#native.close();
      await this.guard?.close();
    } catch (error) {
      this.#emitter.emit(['log', { level: 'error', message: `closing failed: ${String(error)}` }]);
    }
    onExit(this.#stop, false);
    this.deliverEvents();
    this.#emitter.emit(['closed']);
    this.#resolveClosed();
  }
}
