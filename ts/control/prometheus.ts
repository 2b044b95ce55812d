// A bridge's figures in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/).

import type { BridgeStatus } from './protocol.js';

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Everything that is told of a bridge. Sums over clients count those that have gone too. */
export function prometheusText({ version, display, channel, ageMs, stats, clients }: BridgeStatus): string {
  const { totals } = stats;
  const sum = (of: (client: BridgeStatus['clients'][number]) => number): number => clients.reduce((all, client) => all + of(client), 0);
  return [
    metric('info', 'gauge', 'What it is.', [[{ version, display, channel }, 1]]),
    metric('uptime_seconds', 'gauge', 'Time since its start.', [[{}, ageMs / 1000]]),
    metric('clients', 'gauge', 'Connected clients.', [[{}, stats.clients]]),
    metric('clients_total', 'counter', 'Clients that were ever connected.', [[{}, stats.clientsTotal]]),
    metric('clients_refused_total', 'counter', 'Clients that were turned away.', [[{}, stats.clientsRefused]]),
    metric('faults_total', 'counter', 'Clients that were lost to faults of the bridge.', [[{}, stats.panics]]),
    metric('bytes_total', 'counter', 'Bytes of the X11 protocol.', [toHost(totals.bytesToHost), toClient(totals.bytesToClient)]),
    metric('messages_total', 'counter', 'Messages of the X11 protocol.', kinds(totals)),
    metric('denied_total', 'counter', 'Requests that the X server was made to refuse.', [[{}, totals.denied]]),
    metric('descriptors_total', 'counter', 'File descriptors passed.', [toHost(totals.fdsToHost), toClient(totals.fdsToClient)]),
    metric('descriptors_dropped_total', 'counter', 'File descriptors that nothing claimed.', [[{}, totals.fdsDropped]]),
    metric('fences_shared_total', 'counter', 'Fences in memory that both kernels map.', [[{}, totals.fencesShared]]),
    metric('fences_relayed_total', 'counter', 'Fences that were relayed to another kernel.', [[{}, totals.fencesRelayed]]),
    metric('fences_crowded_out_total', 'counter', 'Relayed fences for which no memory was left that both kernels map.', [[{}, totals.fencesCrowdedOut]]),
    metric('fences_stale_total', 'counter', 'Triggers of fences that came too late to mean anything.', [[{}, totals.fencesStale]]),
    metric('fences_given_up_total', 'counter', 'Fences that were triggered because nobody could say any more when to.', [[{}, totals.fencesGivenUp]]),
    metric('queued_bytes', 'gauge', 'Bytes that wait for their reader.', [toHost(sum((client) => client.queuedToHost)), toClient(sum((client) => client.queuedToClient))]),
    metric('awaited_replies', 'gauge', 'Requests whose reply is awaited.', [[{}, sum((client) => client.awaited)]]),
    metric('oldest_request_seconds', 'gauge', 'How long one of them has waited, at most.', [[{}, Math.max(0, ...clients.map((client) => client.oldest?.ageMs ?? 0)) / 1000]]),
    roundTrips(stats),
  ].join('');
}

function toHost(value: number): Sample {
  return [{ direction: 'to_host' }, value];
}

function toClient(value: number): Sample {
  return [{ direction: 'to_client' }, value];
}

function kinds({ requests, replies, events, errors }: BridgeStatus['stats']['totals']): Sample[] {
  return Object.entries({ request: requests, reply: replies, event: events, error: errors }).map(([kind, value]) => [{ kind }, value]);
}

function roundTrips({ roundTrips: counts, roundTripMicros }: BridgeStatus['stats']): string {
  let seen = 0;
  // The last class has no upper end.
  const buckets = counts.map((count, at): Sample => [{ le: at === counts.length - 1 ? '+Inf' : String(2 ** at / 1e6) }, (seen += count)]);
  const lines = [...buckets.map((sample) => line('round_trip_seconds_bucket', sample)), line('round_trip_seconds_sum', [{}, roundTripMicros / 1e6]), line('round_trip_seconds_count', [{}, seen])];
  return head('round_trip_seconds', 'histogram', 'Round trips, of which one at a time is measured for each client.') + lines.join('');
}

function metric(name: string, type: string, help: string, samples: readonly Sample[]): string {
  return head(name, type, help) + samples.map((sample) => line(name, sample)).join('');
}

function head(name: string, type: string, help: string): string {
  return `# HELP x11bridge_${name} ${help}\n# TYPE x11bridge_${name} ${type}\n`;
}

function line(name: string, [labels, value]: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text.replaceAll(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))}"`);
  return `x11bridge_${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}
