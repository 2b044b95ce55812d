// The measures, taken in rounds over all contenders so that whatever else the machine does hits them alike.

import { setTimeout as sleep } from 'node:timers/promises';
import { firstLine } from '../scripts/lab.mjs';
import { contextSwitches, cpuSeconds, memory } from './process-stats.mjs';

const IMAGE_BYTES = 500 * 500 * 4;
const MEMORY_CLIENTS = 50;
const IDLE_CLIENTS = 20;

/**
 * What x11-bench measures, and which number of its answer a row of the table shows.
 * @type {ReadonlyArray<{ measure: string, rows: Record<string, string> }>}
 */
const MEASURES = [
  { measure: 'roundtrip', rows: { roundTripP50: 'p50_us', roundTripP99: 'p99_us' } },
  { measure: 'putimage', rows: { putImage: 'per_s' } },
  { measure: 'getimage', rows: { getImage: 'per_s' } },
  { measure: 'small', rows: { small: 'per_s' } },
  { measure: 'connect', rows: { connect: 'per_s' } },
];

/** @typedef {Record<string, number>} Results by row; a row that makes no sense for a contender is absent */

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} program x11-bench
 * @param {readonly import('./contenders.mjs').Contender[]} contenders
 * @param {{ rounds: number, seconds: number, idleSeconds?: number }} effort without `idleSeconds`, what standing connections cost is left out
 * @param {(text: string) => void} say progress
 * @returns {Promise<Map<string, Results>>} by contender's name: medians over the rounds
 */
export async function measureAll(lab, program, contenders, { rounds, seconds, idleSeconds }, say) {
  const sheets = new Map(contenders.map(({ name }) => [name, new Sheet()]));
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`);
    for (const { measure, rows } of MEASURES) {
      for (const contender of contenders) {
        await takeOne(lab, program, contender, measure, rows, seconds, /** @type {Sheet} */ (sheets.get(contender.name)));
      }
    }
  }
  if (idleSeconds !== undefined) {
    say('memory per client and wake-ups at rest');
    for (const contender of contenders) {
      await takeStanding(lab, program, contender, idleSeconds, /** @type {Sheet} */ (sheets.get(contender.name)));
    }
  }
  return new Map([...sheets].map(([name, sheet]) => [name, sheet.results()]));
}

/** Samples of one contender. */
class Sheet {
  /** @type {Map<string, number[]>} */
  #samples = new Map();
  /** Processor time and the gigabytes that it moved. */
  bulk = { cpu: 0, gigabytes: 0 };
  /** Processor time and the round trips that it carried. */
  trips = { cpu: 0, count: 0 };

  /** @param {string} row @param {number} value */
  add(row, value) {
    this.#samples.set(row, [...(this.#samples.get(row) ?? []), value]);
  }

  /** @returns {Results} */
  results() {
    const { bulk, trips } = this;
    return {
      ...Object.fromEntries([...this.#samples].map(([row, values]) => [row, median(values)])),
      ...(bulk.cpu > 0 && { cpuPerGb: bulk.cpu / bulk.gigabytes }),
      ...(trips.cpu > 0 && { cpuPerTrip: (trips.cpu / trips.count) * 1e6 }),
    };
  }
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} program
 * @param {import('./contenders.mjs').Contender} contender
 * @param {string} measure
 * @param {Record<string, string>} rows
 * @param {number} seconds
 * @param {Sheet} sheet
 */
async function takeOne(lab, program, { env, pid }, measure, rows, seconds, sheet) {
  const before = pid === undefined ? 0 : cpuSeconds(pid);
  const output = await lab.output(program, ['--measures', measure, '--seconds', String(seconds)], env);
  const cpu = pid === undefined ? 0 : cpuSeconds(pid) - before;
  const answer = JSON.parse(output.toString())[measure];
  for (const [row, field] of Object.entries(rows)) sheet.add(row, answer[field]);
  if (measure === 'putimage' || measure === 'getimage') {
    sheet.bulk.cpu += cpu;
    sheet.bulk.gigabytes += (answer.count * IMAGE_BYTES) / 1e9;
  } else if (measure === 'roundtrip') {
    sheet.trips.cpu += cpu;
    sheet.trips.count += answer.count;
  }
}

/**
 * What it costs that clients are there at all.
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} program
 * @param {import('./contenders.mjs').Contender} contender
 * @param {number} idleSeconds
 * @param {Sheet} sheet
 */
async function takeStanding(lab, program, { env, pid }, idleSeconds, sheet) {
  if (pid === undefined) return;
  const before = memory(pid);
  await whileHeld(lab, program, env, ['--hold', String(MEMORY_CLIENTS), '--warm', 'yes'], async () => {
    const held = memory(pid);
    sheet.add('memoryRss', (held.rss - before.rss) / MEMORY_CLIENTS);
    sheet.add('memoryPss', (held.pss - before.pss) / MEMORY_CLIENTS);
  });
  await whileHeld(lab, program, env, ['--hold', String(IDLE_CLIENTS)], async () => {
    // What the last round trip has set going must have come to rest.
    await sleep(1000);
    const start = contextSwitches(pid);
    await sleep(idleSeconds * 1000);
    sheet.add('wakeUps', (contextSwitches(pid) - start) / idleSeconds);
  });
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} program
 * @param {Record<string, string>} env
 * @param {string[]} args
 * @param {() => Promise<void>} body runs while x11-bench holds its connections
 */
async function whileHeld(lab, program, env, args, body) {
  const child = lab.start(program, args, { env });
  await firstLine(child, child.stdout, 'x11-bench --hold');
  await body();
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.stdin?.end();
  await closed;
}

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
