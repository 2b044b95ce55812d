// A trace as a file for Wireshark and the like (draft-ietf-opsawg-pcap): each message is a packet of a TCP connection to port 6000, which
// they take for X11. Addresses, ports and TCP's numbers are made up; times and bytes are real.

import type { TraceRecord } from './record.js';

/** Microseconds, little-endian. */
const MAGIC = 0xa1b2c3d4;
const RAW_IP = 101;
const SNAP_BYTES = 65_535;
const X11_PORT = 6000;
const CLIENT_PORTS = { first: 10_000, count: 50_000 };
const SERVER = Buffer.from([10, 0, 0, 1]);
const CLIENT = Buffer.from([10, 0, 0, 2]);
const HEADERS_BYTES = 40;
/** A packet's length has 16 bits; longer messages become several. */
const DATA_BYTES_MAX = 65_000;
const PUSH_ACK = 0x18;

/** The bytes of both directions so far. */
interface Flow {
  toServer: number;
  toClient: number;
}

/** What stands at the beginning of a file. */
export function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAP_BYTES, 16);
  header.writeUInt32LE(RAW_IP, 20);
  return header;
}

export class PcapPackets {
  readonly #flows = new Map<number, Flow>();

  /** The packets of a record; none where it is no message. */
  of(record: TraceRecord): Buffer {
    const { client, kind, bytes, length } = record;
    const flow = this.#flows.get(client) ?? { toServer: 1, toClient: 1 };
    this.#flows.set(client, flow);
    if (kind === 'ends') this.#flows.delete(client);
    if (kind === 'ends') return Buffer.alloc(0);
    // Only the set-up tells the byte order. The real one has a cookie.
    if (kind === 'begins') return packets(record, setUpRequest(record.bigEndian), 12, flow, true);
    return packets(record, bytes, length, flow, kind === 'request');
  }
}

function setUpRequest(bigEndian: boolean): Buffer {
  const request = Buffer.alloc(12);
  request.write(bigEndian ? 'B' : 'l', 'latin1');
  if (bigEndian) request.writeUInt16BE(11, 2);
  else request.writeUInt16LE(11, 2);
  return request;
}

function packets({ client, micros }: TraceRecord, bytes: Buffer, length: number, flow: Flow, toServer: boolean): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += DATA_BYTES_MAX) {
    const data = bytes.subarray(at, at + DATA_BYTES_MAX);
    const whole = Math.min(length - at, DATA_BYTES_MAX);
    parts.push(packetHeader(micros, data.length, whole), headers(client, flow, whole, toServer), data);
    if (toServer) flow.toServer = (flow.toServer + whole) >>> 0;
    else flow.toClient = (flow.toClient + whole) >>> 0;
  }
  return Buffer.concat(parts);
}

function packetHeader(micros: number, captured: number, whole: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(Math.floor(micros / 1e6), 0);
  header.writeUInt32LE(micros % 1e6, 4);
  header.writeUInt32LE(HEADERS_BYTES + captured, 8);
  header.writeUInt32LE(HEADERS_BYTES + whole, 12);
  return header;
}

/** Those of IP and TCP, without options. */
function headers(client: number, flow: Flow, length: number, toServer: boolean): Buffer {
  const bytes = Buffer.alloc(HEADERS_BYTES);
  const port = CLIENT_PORTS.first + (client % CLIENT_PORTS.count);
  bytes.set([0x45, 0], 0);
  bytes.writeUInt16BE(HEADERS_BYTES + length, 2);
  bytes.set([0x40, 0, 64, 6], 6);
  bytes.set(toServer ? [...CLIENT, ...SERVER] : [...SERVER, ...CLIENT], 12);
  bytes.writeUInt16BE(checksum(bytes.subarray(0, 20)), 10);
  bytes.writeUInt16BE(toServer ? port : X11_PORT, 20);
  bytes.writeUInt16BE(toServer ? X11_PORT : port, 22);
  bytes.writeUInt32BE(toServer ? flow.toServer : flow.toClient, 24);
  bytes.writeUInt32BE(toServer ? flow.toClient : flow.toServer, 28);
  bytes.set([0x50, PUSH_ACK, 0xff, 0xff], 32);
  return bytes;
}

/** That of IP's header (RFC 1071). TCP's stays zero: the bytes of most packets are not all there. */
function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
