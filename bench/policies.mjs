// What a policy costs a stream of small requests: bridges in pairs, measured alternately, so that whatever else the machine does
// hits both alike; of each round the ratio, and of the ratios the median. Where half of the rounds lie far apart, others take the processors
// and the median says nothing.

import { median } from './measure.mjs';

/** Of what a bridge without a policy carries, at most so much may be missing. */
const GUEST_MIN = 0.97;

/** @typedef {{ guest: number, spread: number, again: number, rounds: number }} PolicyFigures ratios to a bridge under `open`; `again` is another such bridge's, which shows how far to trust them */

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {string} program x11-bench
 * @param {{ rounds: number, seconds: number }} effort
 * @returns {Promise<PolicyFigures>}
 */
export async function measurePolicies(lab, program, { rounds, seconds }) {
  const host = await lab.startXvfb();
  const [open, again, guest] = [
    await lab.startBridge(host.env, ['--channel', 'socket', '--policy', 'open']),
    await lab.startBridge(host.env, ['--channel', 'socket', '--policy', 'open']),
    await lab.startBridge(host.env, ['--channel', 'socket', '--policy', 'guest']),
  ];
  /** @param {{ env: object }} bridge @returns {Promise<number>} */
  const small = async ({ env }) => JSON.parse((await lab.output(program, ['--measures', 'small', '--seconds', String(seconds)], { ...env })).toString()).small.per_s;
  /** @type {{ guest: number, again: number }[]} */
  const ratios = [];
  const rows = 3 * rounds;
  for (let round = 0; round < rows; round++) {
    // Before and after: what grows or falls meanwhile cancels out.
    const before = await small(open);
    const [guarded, other] = [await small(guest), await small(again)];
    const base = (before + (await small(open))) / 2;
    ratios.push({ guest: guarded / base, again: other / base });
  }
  const guests = ratios.map((one) => one.guest);
  return { guest: median(guests), spread: quartile(guests, 0.75) - quartile(guests, 0.25), again: median(ratios.map((one) => one.again)), rounds: rows };
}

/** @param {PolicyFigures} figures */
export function reportPolicies({ guest, spread, again, rounds }) {
  return [
    `Policies, small requests over socket, ${rounds} rounds:`,
    `  ${guest >= GUEST_MIN ? 'met   ' : 'MISSED'}  guest ${guest.toFixed(3)} × open (at least ${GUEST_MIN}); half of the rounds within ${spread.toFixed(3)}; a second bridge under open ${again.toFixed(3)}`,
  ].join('\n');
}

/** @param {PolicyFigures} figures */
export function policiesAreGood({ guest }) {
  return guest >= GUEST_MIN;
}

/** @param {number[]} values @param {number} share */
function quartile(values, share) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;
}
