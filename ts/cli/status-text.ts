// A bridge's status as text, for `status`, for `top`, and for the log on SIGUSR1.

import type { BridgeStatus } from '../control/protocol.js';
import { roundTripBelow, type ClientStatus } from '../session/client-status.js';
import { requestName } from '../trace/protocol.js';
import type { Paint } from './paint.js';
import { bytes, count, duration, microseconds, printable } from './units.js';

/** A column of the table of clients. */
export interface Column {
  readonly title: string;
  /** Words stand at the left, numbers at the right. */
  readonly left?: true;
  readonly cell: (client: ClientStatus) => string;
  /** What `top` sorts by, the largest first. */
  readonly rank: (client: ClientStatus) => number | string;
}

export const COLUMNS: readonly Column[] = [
  { title: 'CLIENT', cell: ({ client }) => String(client), rank: ({ client }) => -client },
  { title: 'PID', cell: ({ pid }) => String(pid ?? '-'), rank: ({ pid }) => -(pid ?? 0) },
  { title: 'PROGRAM', left: true, cell: ({ program }) => printable(program ?? '-'), rank: ({ program }) => program ?? '' },
  { title: 'AGE', cell: ({ ageMs }) => duration(ageMs), rank: ({ ageMs }) => ageMs },
  { title: 'TO SERVER', cell: ({ totals }) => bytes(totals.bytesToHost), rank: ({ totals }) => totals.bytesToHost },
  { title: 'TO CLIENT', cell: ({ totals }) => bytes(totals.bytesToClient), rank: ({ totals }) => totals.bytesToClient },
  { title: 'REQUESTS', cell: ({ totals }) => count(totals.requests), rank: ({ totals }) => totals.requests },
  { title: 'REPLIES', cell: ({ totals }) => count(totals.replies), rank: ({ totals }) => totals.replies },
  { title: 'EVENTS', cell: ({ totals }) => count(totals.events), rank: ({ totals }) => totals.events },
  { title: 'ERRORS', cell: ({ totals }) => count(totals.errors), rank: ({ totals }) => totals.errors },
  { title: 'FDS', cell: ({ totals }) => count(totals.fdsToHost + totals.fdsToClient), rank: ({ totals }) => totals.fdsToHost + totals.fdsToClient },
  { title: 'QUEUED', cell: ({ queuedToHost, queuedToClient }) => bytes(queuedToHost + queuedToClient), rank: ({ queuedToHost, queuedToClient }) => queuedToHost + queuedToClient },
  { title: 'ROUND TRIP', cell: roundTrip, rank: (client) => roundTripBelow(client, 0.5) ?? 0 },
  { title: 'WAITS FOR', left: true, cell: waitsFor, rank: ({ oldest }) => oldest?.ageMs ?? -1 },
];

/** Below what half of the round trips stayed, and nearly all. */
function roundTrip(client: ClientStatus): string {
  const [half, most] = [roundTripBelow(client, 0.5), roundTripBelow(client, 0.99)];
  return half === undefined || most === undefined ? '-' : `<${microseconds(half)} <${microseconds(most)}`;
}

function waitsFor({ oldest, awaited }: ClientStatus): string {
  if (oldest === undefined) return '-';
  return `${requestName(oldest.opcode)} for ${duration(oldest.ageMs)}${awaited > 1 ? `, ${awaited - 1} more` : ''}`;
}

/** The bridge in a few lines, then a line for each client. */
export function statusText(status: BridgeStatus, paint: Paint): string[] {
  const [head = '', ...rows] = table(status.clients);
  return [...summary(status), '', paint.bold(head), ...rows];
}

/** What holds for the bridge as a whole. */
export function summary({ display, hostDisplay, channel, channelReason, pid, version, ageMs, stats }: BridgeStatus): string[] {
  const { clients, clientsTotal, clientsRefused, panics, totals } = stats;
  return [
    `display ${display} -> ${hostDisplay === undefined ? '' : `X display ${printable(hostDisplay)} `}over ${channel}: ${printable(channelReason)}`,
    `x11bridge ${version}, pid ${pid}, up ${duration(ageMs)}; clients: ${count(clients)} now, ${count(clientsTotal)} in all, ${count(clientsRefused)} refused, ${count(panics)} lost to faults`,
    `${bytes(totals.bytesToHost)} to the server, ${bytes(totals.bytesToClient)} to clients; ${count(totals.requests)} requests, ${count(totals.replies)} replies, ${count(totals.events)} events, ${count(totals.errors)} errors, ${count(totals.denied)} denied`,
    `descriptors: ${count(totals.fdsToHost)} to the server, ${count(totals.fdsToClient)} to clients, ${count(totals.fdsDropped)} dropped`,
    `fences: ${count(totals.fencesShared)} shared, ${count(totals.fencesRelayed)} relayed${totals.fencesCrowdedOut > 0 ? ` (${count(totals.fencesCrowdedOut)} as /dev/shm had no more room to share)` : ''}, ${count(totals.fencesStale)} triggers too late, ${count(totals.fencesGivenUp)} given up${stats.fenceWatcher === undefined ? '' : `; watched by ${stats.fenceWatcher}`}`,
  ];
}

/** The table of clients; its first line is the head. */
export function table(clients: readonly ClientStatus[], columns: readonly Column[] = COLUMNS): string[] {
  const rows = clients.map((client) => columns.map(({ cell }) => cell(client)));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string => cells.map((cell, at) => (columns[at]?.left ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ').trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}
