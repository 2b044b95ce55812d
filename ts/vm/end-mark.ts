// Where a program's output ends: at a mark that nobody else can write, since nobody else knows it.

import { randomBytes } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

/** A new mark, of characters that no terminal changes. */
export function newEndMark(): string {
  return `x11bridge-end-${randomBytes(16).toString('hex')}`;
}

/** Passes on what stands before the mark, and then ends; what comes after it is dropped. */
export class UntilEndMark extends Transform {
  readonly #mark: Buffer;
  /** What may be the beginning of the mark. */
  #held: Buffer = Buffer.alloc(0);
  #found = false;

  constructor(mark: string) {
    super();
    this.#mark = Buffer.from(mark);
  }

  /** Whether the mark has come; the end without it means that output may be missing. */
  get found(): boolean {
    return this.#found;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (!this.#found) this.#take(Buffer.concat([this.#held, chunk]));
    done();
  }

  override _flush(done: TransformCallback): void {
    if (!this.#found) this.push(this.#held);
    done();
  }

  #take(data: Buffer): void {
    const position = data.indexOf(this.#mark);
    this.#found = position >= 0;
    const length = this.#found ? position : data.length - this.#beginning(data);
    if (length > 0) this.push(data.subarray(0, length));
    if (this.#found) this.push(null);
    else this.#held = data.subarray(length);
  }

  /** How many bytes at the end may be the mark's beginning. */
  #beginning(data: Buffer): number {
    const most = Math.min(data.length, this.#mark.length - 1);
    for (let length = most; length > 0; length--) {
      if (data.subarray(data.length - length).equals(this.#mark.subarray(0, length))) return length;
    }
    return 0;
  }
}
