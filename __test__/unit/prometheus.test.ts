import assert from 'node:assert/strict';
import { prometheusText } from '../../dist/control/prometheus.js';
import type { BridgeStatus } from '../../dist/control/protocol.js';

const TOTALS = { bytesToHost: 1, bytesToClient: 2, requests: 3, replies: 4, events: 5, errors: 6, denied: 7, fdsToHost: 8, fdsToClient: 9, fdsDropped: 10, fencesShared: 14, fencesRelayed: 11, fencesCrowdedOut: 15, fencesStale: 12, fencesGivenUp: 13 };
const STATUS: BridgeStatus = {
  version: '1.2',
  pid: 1,
  ageMs: 1500,
  display: ':1',
  channel: 'so"ck\\et\n',
  channelReason: '',
  stats: { clients: 2, clientsTotal: 12, clientsRefused: 1, panics: 0, totals: TOTALS, roundTrips: [1, 0, 2, 1], roundTripMicros: 40 },
  clients: [
    { client: 1, ageMs: 1, totals: TOTALS, awaited: 1, oldest: { sequence: 1, opcode: 43, ageMs: 2500 }, queuedToHost: 5, queuedToClient: 0, roundTrips: [], roundTripMicros: 0 },
    { client: 2, ageMs: 1, totals: TOTALS, awaited: 2, queuedToHost: 7, queuedToClient: 9, roundTrips: [], roundTripMicros: 0 },
  ],
};

describe("the figures in Prometheus' format", () => {
  const lines = prometheusText(STATUS).trimEnd().split('\n');

  it('are lines of the format, each behind its help and type', () => {
    const described = new Set<string>();
    for (const line of lines) {
      const [, , name] = /^# (HELP|TYPE) (x11bridge_[a-z_]+) \S/.exec(line) ?? [];
      if (name !== undefined) described.add(name);
      else {
        const sample = /^(x11bridge_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{[a-z]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z]+="(?:[^"\\\n]|\\[\\"n])*")*\})? -?\d[\d.e+-]*$/.exec(line);
        assert.ok(sample && described.has(sample[1] ?? ''), line);
      }
    }
    assert.ok(described.size >= 15);
  });

  it('have every count', () => {
    for (const line of [
      'x11bridge_info{version="1.2",display=":1",channel="so\\"ck\\\\et\\n"} 1',
      'x11bridge_uptime_seconds 1.5',
      'x11bridge_clients 2',
      'x11bridge_clients_total 12',
      'x11bridge_bytes_total{direction="to_host"} 1',
      'x11bridge_messages_total{kind="event"} 5',
      'x11bridge_fences_shared_total 14',
      'x11bridge_fences_relayed_total 11',
      'x11bridge_fences_crowded_out_total 15',
      'x11bridge_fences_stale_total 12',
      'x11bridge_fences_given_up_total 13',
      'x11bridge_queued_bytes{direction="to_host"} 12',
      'x11bridge_awaited_replies 3',
      'x11bridge_oldest_request_seconds 2.5',
    ]) {
      assert.ok(lines.includes(line), line);
    }
  });

  it('have a histogram whose classes add up', () => {
    assert.deepEqual(lines.filter((line) => line.startsWith('x11bridge_round_trip_seconds')), [
      'x11bridge_round_trip_seconds_bucket{le="0.000001"} 1',
      'x11bridge_round_trip_seconds_bucket{le="0.000002"} 1',
      'x11bridge_round_trip_seconds_bucket{le="0.000004"} 3',
      'x11bridge_round_trip_seconds_bucket{le="+Inf"} 4',
      'x11bridge_round_trip_seconds_sum 0.00004',
      'x11bridge_round_trip_seconds_count 4',
    ]);
  });

  it('are right without a client', () => {
    assert.match(prometheusText({ ...STATUS, clients: [] }), /^x11bridge_oldest_request_seconds 0$/m);
  });
});
