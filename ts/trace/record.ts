// The records of a trace, as the addon makes them; crates/session/src/trace.rs describes them.

const HEADER_BYTES = 32;
const BIG_ENDIAN = 1;
const CHANGED = 2;
const KINDS = ['request', 'message', 'set-up', 'begins', 'ends'] as const;

/** One message of a client or of the X server, or that a client comes or goes. */
export interface TraceRecord {
  readonly client: number;
  /** Microseconds since 1970. */
  readonly micros: number;
  readonly kind: (typeof KINDS)[number];
  /** Of the whole message. */
  readonly length: number;
  /** The low 32 bits of the request's number; of a message of the server's those of the client's last request so far. */
  readonly sequence: number;
  readonly bigEndian: boolean;
  /** Whether the bridge made another request of it, one that the server refuses or that does nothing. */
  readonly changed: boolean;
  /** The first bytes of the message. */
  readonly bytes: Buffer;
}

/** The records in a batch; what is no record ends it. */
export function recordsIn(batch: Buffer): TraceRecord[] {
  const records: TraceRecord[] = [];
  for (let at = 0; at + HEADER_BYTES <= batch.length; ) {
    const end = at + HEADER_BYTES + batch.readUInt16LE(at + 28);
    const kind = KINDS[batch.readUInt8(at + 30)];
    if (kind === undefined || end > batch.length) break;
    const flags = batch.readUInt8(at + 31);
    records.push({
      client: Number(batch.readBigUInt64LE(at)),
      micros: Number(batch.readBigUInt64LE(at + 8)),
      kind,
      length: Number(batch.readBigUInt64LE(at + 16)),
      sequence: batch.readUInt32LE(at + 24),
      bigEndian: (flags & BIG_ENDIAN) !== 0,
      changed: (flags & CHANGED) !== 0,
      bytes: batch.subarray(at + HEADER_BYTES, end),
    });
    at = end;
  }
  return records;
}
