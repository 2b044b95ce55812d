// What a running bridge and a running host half have in common as their owner sees them: events, and one end.

import { SafeEmitter, type EmissionOf } from './emitter.js';
import { onExit } from './exit.js';

/** A part of the addon that runs until it is closed. */
export abstract class Handle<Events extends Record<keyof Events, unknown[]>> implements AsyncDisposable {
  /** Resolves when it is closed, however that came about; never rejects. */
  readonly closed: Promise<void>;

  readonly #emitter = new SafeEmitter<Events>();
  readonly #stop = (): void => this.stop();
  #closing = false;
  #resolveClosed: () => void = () => undefined;

  protected constructor() {
    onExit(this.#stop, true);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  on<Name extends keyof Events & string>(event: Name, listener: (...args: Events[Name]) => void): this {
    this.#emitter.on(event, listener as never);
    return this;
  }

  once<Name extends keyof Events & string>(event: Name, listener: (...args: Events[Name]) => void): this {
    this.#emitter.once(event, listener as never);
    return this;
  }

  off<Name extends keyof Events & string>(event: Name, listener: (...args: Events[Name]) => void): this {
    this.#emitter.off(event, listener as never);
    return this;
  }

  /** Every call returns the same promise. */
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
    for (const emission of this.taken()) if (emission !== undefined) this.#emitter.emit(emission);
  }

  /** Emits one event. */
  protected emit(emission: EmissionOf<Events>): void {
    this.#emitter.emit(emission);
  }

  /** The events that the addon has queued; undefined for those that this version doesn't know. */
  protected abstract taken(): readonly (EmissionOf<Events> | undefined)[];

  /** What tells that closing failed. */
  protected abstract failed(message: string): EmissionOf<Events>;

  /** The last event. */
  protected abstract ended(): EmissionOf<Events>;

  /** Closes it at once: the process is about to end. */
  protected abstract stop(): void;

  /** Closes it in order. */
  protected abstract finish(): Promise<void>;

  async #finish(): Promise<void> {
    try {
      await this.finish();
    } catch (error) {
      this.#emitter.emit(this.failed(`closing failed: ${String(error)}`));
    }
    onExit(this.#stop, false);
    this.deliverEvents();
    this.#emitter.emit(this.ended());
    this.#resolveClosed();
  }
}
