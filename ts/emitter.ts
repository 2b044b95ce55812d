// An event emitter with types, whose listeners can't hurt each other.

import { EventEmitter } from 'node:events';

/** One event with its arguments, ready to be emitted. */
export type EmissionOf<Events> = { [Name in keyof Events & string]: readonly [name: Name, ...args: Arguments<Events[Name]>] }[keyof Events & string];

type Arguments<Value> = Value extends readonly unknown[] ? Value : never;

/** An emitter of the events of a map from names to the arguments of their listeners. */
export class SafeEmitter<Events> {
  readonly #emitter = new EventEmitter();

  on<Name extends keyof Events & string>(event: Name, listener: (...args: Arguments<Events[Name]>) => void): void {
    this.#emitter.on(event, listener as never);
  }

  once<Name extends keyof Events & string>(event: Name, listener: (...args: Arguments<Events[Name]>) => void): void {
    this.#emitter.once(event, listener as never);
  }

  off<Name extends keyof Events & string>(event: Name, listener: (...args: Arguments<Events[Name]>) => void): void {
    this.#emitter.off(event, listener as never);
  }

  /** A listener that throws must not cost the others their events: the error surfaces as an uncaught exception, as ever, but later. */
  emit([name, ...args]: EmissionOf<Events>): void {
    try {
      this.#emitter.emit(name, ...args);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }
}
