// The commands that look at a bridge that runs.

import type { Command } from 'commander';
import { subcommand, type Outcome } from './subcommand.js';

/** What they all take. */
export interface Looking {
  readonly display?: string;
  readonly runtimeDir?: string;
  readonly json?: boolean;
}

const WHICH_HELP = `
Without DISPLAY it is the bridge of $DISPLAY, or the only one of yours that runs.`;
const EXIT_HELP = `
Exit codes: 0 success, 1 when no bridge answers, 2 wrong usage.`;

const TOP_HELP = `
Keys: left and right choose what is sorted by, r reverses that; up and down select a client, k closes it; q quits.`;

/** Adds them to the program. */
export function lookingCommands(program: Command, outcome: Outcome): void {
  looking(program, 'status', 'show a running bridge and its clients')
    .option('--json', 'write one line of JSON')
    .action(async (display: string | undefined, options: Looking) => {
      const { status } = await import('./commands/status.js');
      outcome.code = await status({ ...options, ...(display !== undefined && { display }) });
    });
  looking(program, 'top', 'show a running bridge and its clients, live, and close some')
    .addHelpText('after', TOP_HELP)
    .action(async (display: string | undefined, options: Looking) => {
      const { top } = await import('./commands/top.js');
      outcome.code = await top({ ...options, ...(display !== undefined && { display }) });
    });
  looking(program, 'reload', 'make a running bridge read its configuration again')
    .option('--json', 'write one line of JSON')
    .action(async (display: string | undefined, options: Looking) => {
      const { reload } = await import('./commands/reload.js');
      outcome.code = await reload({ ...options, ...(display !== undefined && { display }) });
    });
}

function looking(program: Command, name: string, description: string): Command {
  return subcommand(program, name)
    .description(description)
    .argument('[display]', "the display that the bridge serves, such as :1, or the path of a guard's socket")
    .option('--runtime-dir <DIR>', 'the runtime directory of the bridge (default: that of your settings)')
    .addHelpText('after', WHICH_HELP + EXIT_HELP);
}
