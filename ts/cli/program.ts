// The arguments of the command: what there is, the help text, and the sentence when something is wrong.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import { LOG_LEVELS, OPTION_RULES, type LogVerbosity, type OptionName } from '../config/options.js';
import type { RawOptions } from '../config/resolve.js';
import { failure } from '../errors.js';
import { complain, complainAbout } from './terminal.js';

/** What every command takes. */
export interface Settings {
  readonly raw: RawOptions;
  readonly json: boolean;
  readonly logLevel: LogVerbosity;
}

const PROGRAM_HELP = `
"x11bridge COMMAND --help" shows the options of a command.

Exit codes: 0 success, 1 failure, 2 wrong usage; "run" ends with the code of the program that it runs.
Environment: X11BRIDGE_DEBUG=1 shows where an unexpected failure comes from.`;

const RUN_HELP = `
Example: x11bridge run -- xterm -fn fixed

Exit codes: those of COMMAND; 128 + n when signal n ended it, 127 when it isn't found, 126 when it can't be executed,
1 when the bridge can't start, 2 for wrong usage.
SIGTERM and SIGHUP are sent on to COMMAND, and so are SIGINT and SIGQUIT unless the terminal has done that.`;

const SERVE_HELP = `
Example: x11bridge serve --display :7 --host-display :0

Exit codes: 0 after SIGTERM, SIGINT or SIGHUP, 1 when the bridge can't start, 2 for wrong usage.
A second signal ends it at once, with 128 + its number.`;

/**
 * Runs the command.
 * @param argv as of the process, with its first two entries
 * @returns the exit code
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const outcome = { code: 0 };
  try {
    await createProgram(outcome).parseAsync(argv);
    return outcome.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
}

function createProgram(outcome: { code: number }): Command {
  const program = new Command('x11bridge')
    .description('Carries X11 clients to an X server.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', PROGRAM_HELP)
    .configureOutput({ outputError: (text) => complain(usageSentence(text)) });
  program.addCommand(runCommand(program, outcome));
  program.addCommand(serveCommand(program, outcome));
  return program;
}

function runCommand(program: Command, outcome: { code: number }): Command {
  return withOptions(program.createCommand('run').copyInheritedSettings(program), 'write a line of JSON for each client to stderr; stdout is for COMMAND')
    .description('start a bridge and COMMAND with DISPLAY and XAUTHORITY set; end with its exit code')
    .usage('[options] -- COMMAND [ARGUMENT...]')
    .argument('<command...>', 'the program to run and its arguments')
    .passThroughOptions()
    .addHelpText('after', RUN_HELP)
    .action(async (command: string[], options: Record<string, unknown>) => {
      const { run } = await import('./commands/run.js');
      outcome.code = await withSettings(options, (settings) => run(command, settings));
    });
}

function serveCommand(program: Command, outcome: { code: number }): Command {
  return withOptions(program.createCommand('serve').copyInheritedSettings(program), 'write a line of JSON to stdout when ready, and for each client that comes or goes')
    .description('start a bridge and keep it until SIGTERM or SIGINT')
    .usage('[options]')
    .addHelpText('after', SERVE_HELP)
    .action(async (options: Record<string, unknown>) => {
      const { serve } = await import('./commands/serve.js');
      outcome.code = await withSettings(options, serve);
    });
}

function withOptions(command: Command, jsonHelp: string): Command {
  for (const name of optionNames()) {
    const { flag, argument, help, fallback } = OPTION_RULES[name];
    command.addOption(new Option(`--${flag} <${argument}>`, `${help} (default: ${fallback})`));
  }
  return command
    .option('--json', jsonHelp)
    .option(`--log-level <${LOG_LEVELS.join('|')}>`, 'what to write to stderr (default: warn)')
    .helpOption('--help', 'print this help');
}

async function withSettings(options: Record<string, unknown>, act: (settings: Settings) => Promise<number>): Promise<number> {
  const { json = false, logLevel = 'warn', ...texts } = options;
  if (!isLogLevel(logLevel)) {
    return complainAbout(failure('invalid-option', `--log-level must be one of ${LOG_LEVELS.join(', ')}, not ${JSON.stringify(logLevel)}`));
  }
  return act({ raw: rawOptions(texts), json: json === true, logLevel });
}

function isLogLevel(value: unknown): value is LogVerbosity {
  return LOG_LEVELS.some((level) => level === value);
}

function rawOptions(texts: Record<string, unknown>): RawOptions {
  return Object.fromEntries(optionNames().map((name) => [name, OPTION_RULES[name].numeric ? numberIfDecimal(texts[name]) : texts[name]]));
}

function numberIfDecimal(text: unknown): unknown {
  return typeof text === 'string' && /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function optionNames(): OptionName[] {
  return Object.keys(OPTION_RULES) as OptionName[];
}

/** Commander's own wording on one line, with the way to the help. */
function usageSentence(text: string): string {
  const [first = '', ...more] = text.trim().replace(/^error: /, '').split('\n');
  return `${[first.replace(/\.$/, ''), ...more].join(' ')}; see x11bridge --help`;
}

function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
