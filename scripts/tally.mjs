// Counts of what passed, failed and was skipped, and the line that every check ends with.

/**
 * `failures`: what failed, a line for each.
 * @typedef {{ passed: number, failed: number, skipped: number, failures?: readonly string[] }} Counts
 */

/** Counts by part, in the order in which the parts ran. */
export class Tally {
  /** @type {[part: string, counts: Counts][]} */
  #parts = [];

  /**
   * @param {string} part
   * @param {Counts} counts
   */
  add(part, counts) {
    this.#parts.push([part, counts]);
  }

  /**
   * Prints a line per part and the closing line.
   * @returns {number} the exit code: 1 if anything failed, or if nothing ran
   */
  close() {
    console.log('\nSummary');
    for (const [part, counts] of this.#parts) console.log(`  ${part.padEnd(18)}${closingLine(counts)}`);
    const total = sum(this.#parts.map(([, counts]) => counts));
    for (const failure of total.failures ?? []) console.log(`failed: ${failure}`);
    console.log(closingLine(total));
    return total.failed > 0 || total.passed === 0 ? 1 : 0;
  }
}

/**
 * A part that ended badly without a failed test, or that ran nothing, must not look like a success.
 * @param {Counts} counts
 * @param {boolean} endedWell
 * @returns {Counts}
 */
export function honest(counts, endedWell) {
  const silentFailure = counts.failed === 0 && (!endedWell || counts.passed === 0);
  if (!silentFailure) return counts;
  return { ...counts, failed: 1, failures: [endedWell ? 'no test ran' : 'the tests ended badly although none failed'] };
}

/**
 * @param {readonly Counts[]} counts
 * @returns {Counts}
 */
export function sum(counts) {
  const total = { passed: 0, failed: 0, skipped: 0, failures: /** @type {string[]} */ ([]) };
  for (const { passed, failed, skipped, failures = [] } of counts) {
    total.failures.push(...failures);
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return total;
}

/** @param {Counts} counts */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
