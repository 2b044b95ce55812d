// Our terminal, handed to a program that has its own line discipline.

import { spawnSync } from 'node:child_process';

/**
 * Makes the terminal on standard input pass every byte as it is, in both directions, until this process ends.
 *
 * Node's own raw mode goes on to turn line feeds into new lines, which spoils the screens of programs that move the cursor by them.
 */
export function makeTerminalRaw(): void {
  const before = stty(['-g']).trim();
  if (before === '') return;
  stty(['raw', '-echo']);
  process.once('exit', () => stty([before]));
}

function stty(args: readonly string[]): string {
  return spawnSync('stty', args, { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' }).stdout ?? '';
}
