// The Nodes that x11bridge is tested with, from npm.

import { join } from 'node:path';
import { npmPackage } from '../npm-fetch.mjs';

/** Every line that is maintained. */
export const NODE_LINES = ['20', '22', '24', '26'];

/**
 * The newest Node of a line.
 * @param {string} line such as 22
 * @param {'arm64' | 'x64'} cpu
 * @returns {string} the program's path
 */
export function nodeOf(line, cpu) {
  return join(npmPackage(`node-linux-${cpu}`, line), 'bin', 'node');
}
