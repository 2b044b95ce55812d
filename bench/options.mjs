// What the benchmarks are told on the command line.

import { parseArgs } from 'node:util';
import { StepError } from '../scripts/setup.mjs';

/**
 * `quick`: fewer and shorter rounds; `json`: a file for the figures; `check`: the exit code is 1 when a target is missed.
 * @returns {{ quick: boolean, json?: string, check: boolean }}
 * @throws {StepError} for others
 */
export function options() {
  try {
    return parseArgs({
      options: { quick: { type: 'boolean', default: false }, json: { type: 'string' }, check: { type: 'boolean', default: false } },
    }).values;
  } catch (error) {
    throw new StepError(`${/** @type {Error} */ (error).message}; the options are --quick, --json FILE and --check`);
  }
}
