// `x11bridge trace`: every message of a running bridge, as text or as a file for Wireshark.

import { createWriteStream, fchmodSync, openSync, type WriteStream } from 'node:fs';
import { err, ok, type Result } from 'neverthrow';
import type { ControlClient } from '../../control/client.js';
import type { TraceStart } from '../../control/protocol.js';
import { failure, type BridgeError } from '../../errors.js';
import { Decoder } from '../../trace/decoder.js';
import { PcapPackets, pcapHeader } from '../../trace/pcap.js';
import { namedExtensions } from '../../trace/protocol.js';
import { recordsIn, type TraceRecord } from '../../trace/record.js';
import { findBridge } from '../find-bridge.js';
import type { Tracing } from '../looking-commands.js';
import { onSignals } from '../signals.js';
import { complain, complainAbout } from '../terminal.js';
import { traceLine } from '../trace-text.js';
import { count, jsonLine } from '../units.js';

/** @returns the exit code: 0 when the user or the bridge ends it */
export async function trace(tracing: Tracing): Promise<number> {
  const client = clientOf(tracing.client);
  if (client.isErr()) return complainAbout(client.error);
  const found = await findBridge(tracing, process.env);
  if (found.isErr()) return complainAbout(found.error);
  using bridge = found.value;
  // Before the file is made: where nothing can be traced, none is left.
  const begun = await bridge.ask({ do: 'trace', extensions: namedExtensions(), ...(client.value !== undefined && { client: client.value }) });
  if (begun.isErr()) return complainAbout(begun.error);
  if (begun.value.unknown !== undefined) complain(`warn: extensions stay without names: ${begun.value.unknown}`);
  const output = tracing.pcap === undefined ? ok(textOutput(tracing, begun.value)) : pcapOutput(tracing.pcap, tracing, begun.value);
  if (output.isErr()) return complainAbout(output.error);
  // Awaited here: the connection ends with this function.
  return await follow(bridge, output.value);
}

/** Where records go. */
interface Output {
  readonly stream: NodeJS.WritableStream;
  readonly written: (record: TraceRecord) => Buffer;
  close(): Promise<void>;
}

async function follow(bridge: ControlClient, output: Output): Promise<number> {
  onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], () => bridge[Symbol.dispose]());
  complain(`traces display ${bridge.display} until Ctrl-C`);
  let failed: Error | undefined;
  // Who reads the output has gone, or the disk is full.
  output.stream.on('error', (error) => {
    failed = error;
    bridge[Symbol.dispose]();
  });
  let lost = 0;
  for await (const part of bridge.follow()) {
    lost += part.lost;
    if (part.lost > 0) complain(`warn: ${count(part.lost)} messages were lost here, since they came faster than they could be written`);
    const written = recordsIn(Buffer.from(part.records, 'base64')).map((record) => output.written(record));
    // Waits for a slow reader, and meanwhile takes nothing from the bridge.
    if (failed === undefined) await new Promise<void>((resolve) => output.stream.write(Buffer.concat(written), () => resolve()));
  }
  await output.close();
  if (lost > 0) complain(`warn: ${count(lost)} messages were lost in all; --client N traces one client alone`);
  if (failed === undefined || ('code' in failed && failed.code === 'EPIPE')) return 0;
  return complainAbout(failure('os', `the trace can't be written (${'code' in failed ? String(failed.code) : failed.message}): free some space, or name another file`));
}

function textOutput({ json, withSecrets }: Tracing, start: TraceStart): Output {
  const decoder = new Decoder(start.extensions, withSecrets ?? false);
  const written = (record: TraceRecord): Buffer => {
    const decoded = decoder.decode(record);
    return Buffer.from(`${json ? jsonLine(decoded) : traceLine(decoded)}\n`);
  };
  return { stream: process.stdout, written, close: () => Promise.resolve() };
}

function pcapOutput(path: string, { withSecrets }: Tracing, start: TraceStart): Result<Output, BridgeError> {
  const decoder = new Decoder(start.extensions, withSecrets ?? false);
  const packets = new PcapPackets();
  return openPrivate(path).map((stream) => {
    stream.write(pcapHeader());
    const written = (record: TraceRecord): Buffer => {
      // Blanks the bytes.
      decoder.decode(record);
      return packets.of(record);
    };
    const close = (): Promise<void> => new Promise((resolve) => stream.end(() => resolve()));
    return { stream, written, close };
  });
}

/** A file for its owner alone, also where it has been there before. */
function openPrivate(path: string): Result<WriteStream, BridgeError> {
  try {
    const descriptor = openSync(path, 'w', 0o600);
    fchmodSync(descriptor, 0o600);
    return ok(createWriteStream(path, { fd: descriptor }));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return err(failure('os', `the file ${path} can't be written (${code}): check its folder and permissions, or name another one`));
  }
}

function clientOf(text: string | undefined): Result<number | undefined, BridgeError> {
  if (text === undefined) return ok(undefined);
  return /^[1-9]\d{0,14}$/.test(text) ? ok(Number(text)) : err(failure('invalid-option', `--client must be the number of a client, as "x11bridge status" shows it, not ${JSON.stringify(text.slice(0, 60))}`));
}
