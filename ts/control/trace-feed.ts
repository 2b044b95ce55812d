// What a bridge tells of every message, as the control socket passes it on.

import { ok, type Result } from 'neverthrow';
import type { BridgeError } from '../errors.js';
import type { NativeBridge } from '../session/bridge.js';
import type { TracePart, TraceStart } from './protocol.js';
import type { TraceFeed } from './server.js';

/** The trace of a bridge; there is at most one at a time. */
export class BridgeTrace implements TraceFeed {
  #start: TraceStart = { extensions: [] };
  #closed = false;
  #wake: () => void = () => undefined;

  private constructor(private readonly bridge: NativeBridge) {}

  /**
   * Begins to trace.
   * @param names extensions whose numbers are to be known
   */
  static async begin(bridge: NativeBridge, client: number | undefined, names: readonly string[]): Promise<Result<TraceFeed, BridgeError>> {
    const feed = new BridgeTrace(bridge);
    const begun = await bridge.trace(client, names, () => feed.#wake());
    if (begun.isErr()) return begun.map(() => feed);
    const { extensions, unknown } = begun.value;
    feed.#start = {
      extensions: extensions.map(({ place, major, firstEvent, firstError }) => ({ name: names[place] ?? '', major, firstEvent, firstError })),
      ...(unknown !== undefined && { unknown }),
    };
    void bridge.closed.then(() => feed.close());
    return ok(feed);
  }

  get start(): TraceStart {
    return this.#start;
  }

  async *parts(): AsyncGenerator<TracePart, void> {
    while (!this.#closed) {
      const { records, lost } = this.bridge.takeTrace();
      if (records.length > 0 || lost > 0) yield { records: Buffer.from(records.buffer, records.byteOffset, records.length).toString('base64'), lost };
      // One after the other is the point.
      // eslint-disable-next-line no-await-in-loop
      else await this.#more();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.bridge.endTrace();
    this.#wake();
  }

  /** Nothing can come between the look and this: both happen in one turn of the event loop. */
  #more(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
