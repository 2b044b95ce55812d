// The commands that look at a bridge that runs.

import { Option, type Command } from 'commander';
import { subcommand, type Outcome } from './subcommand.js';

/** What they all take. */
export interface Looking {
  readonly display?: string;
  readonly runtimeDir?: string;
  readonly json?: boolean;
}

const WHICH_HELP = `
Without DISPLAY it is the bridge of $DISPLAY, or the only one of yours that serves a display.`;
const EXIT_HELP = `
Exit codes: 0 success, 1 when no bridge answers, 2 wrong usage.`;

const TOP_HELP = `
Keys: left and right choose what is sorted by, r reverses that; up and down select a client, k closes it; q quits.`;

/** What `trace` takes besides. */
export interface Tracing extends Looking {
  readonly client?: string;
  readonly pcap?: string;
  readonly withSecrets?: boolean;
}

const TRACE_HELP = `
Keys that are typed, and what properties hold (the clipboard passes through them), are blanked unless --with-secrets is given. A trace that
reads too slowly loses messages, and says how many; clients are never held up. It ends with Ctrl-C, with the bridge, or when its
output is closed.`;

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
  looking(program, 'trace', 'show every request, reply, event and error that goes through a running bridge')
    .option('--client <N>', 'only those of one client, by its number')
    .addOption(Object.assign(new Option('--pcap <FILE>', 'write them to a file for Wireshark, of mode 0600, in place of the output'), { paths: 'file' }))
    .option('--with-secrets', 'leave keys and the contents of properties in')
    .option('--json', 'write a line of JSON for each')
    .addHelpText('after', TRACE_HELP)
    .action(async (display: string | undefined, options: Tracing) => {
      const { trace } = await import('./commands/trace.js');
      outcome.code = await trace({ ...options, ...(display !== undefined && { display }) });
    });
}

function looking(program: Command, name: string, description: string): Command {
  return subcommand(program, name)
    .description(description)
    .argument('[display]', "the display that the bridge serves, such as :1, or the absolute path of a guard's or a host's socket")
    .option('--runtime-dir <DIR>', 'the runtime directory of the bridge (default: that of your settings)')
    .addHelpText('after', WHICH_HELP + EXIT_HELP);
}
