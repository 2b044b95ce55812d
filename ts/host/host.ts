// A running host half, as its owner sees it.

import { Handle } from '../handle.js';
import type { BindingHost } from '../native/index.js';
import { hostEmissionOf, type HostEmission, type HostEvents } from './events.js';
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
export class NativeHost extends Handle<HostEvents> implements Host {
  readonly socket: string;
  readonly qemuArguments: readonly string[];

  readonly #native: BindingHost;

  /**
   * @param devShm the socket of the guest's /dev/shm
   * @param guard what stands between its contexts and the X server
   */
  constructor(
    native: BindingHost,
    devShm: string | undefined,
    readonly guard?: HostGuard,
  ) {
    super();
    this.#native = native;
    guard?.bridge.on('log', (line) => this.emit(['log', line]));
    this.socket = native.socket;
    this.qemuArguments = qemuArguments(native.socket, devShm);
  }

  protected override taken(): readonly (HostEmission | undefined)[] {
    return this.#native.takeEvents().map(hostEmissionOf);
  }

  protected override failed(message: string): HostEmission {
    return ['log', { level: 'error', message }];
  }

  protected override ended(): HostEmission {
    return ['closed'];
  }

  protected override stop(): void {
    this.#native.stop();
  }

  protected override async finish(): Promise<void> {
    await this.#native.close();
    await this.guard?.close();
  }
}
