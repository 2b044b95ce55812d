// The arguments of the command: what there is, the help text, and the sentence when something is wrong.

import { Command, CommanderError, Option } from 'commander';
import { OWN_OPTIONS } from '../config/host.js';
import { GUARD_SETTINGS } from './commands/guard-settings.js';
import { withSettings, type Invocation } from './invocation.js';
import { lookingCommands } from './looking-commands.js';
import { complaintOf, subcommand, type Outcome } from './subcommand.js';
import { packageVersion } from './version.js';
import { withVmOptions, type VmInvocation } from './vm-options.js';

const PROGRAM_HELP = `
"x11bridge COMMAND --help" shows the options of a command.

Exit codes: 0 success, 1 failure, 2 wrong usage; "run" ends with the code of the program that it runs.
Settings: /etc/x11bridge/config.toml, $XDG_CONFIG_HOME/x11bridge/config.toml (or ~/.config), variables such as
X11BRIDGE_LOG_LEVEL, and options; what comes later in this list wins.
Environment: X11BRIDGE_DEBUG=1 shows where an unexpected failure comes from.`;

const RUN_HELP = `
Example: x11bridge run -- xterm -fn fixed

Exit codes: those of COMMAND; 128 + n when signal n ended it, 127 when it isn't found, 126 when it can't be executed,
1 when the bridge can't start, 2 for wrong usage.
SIGTERM and SIGHUP are sent on to COMMAND, and so are SIGINT and SIGQUIT unless the terminal has done that.`;

const SERVE_HELP = `
Example: x11bridge serve --display :7 --host-display :0

SIGHUP reads the configuration files again: what can change without a new start holds from then on, and no client is lost.
Exit codes: 0 after SIGTERM or SIGINT, 1 when the bridge can't start, 2 for wrong usage.
A second signal ends it at once, with 128 + its number.`;

const HOST_HELP = `
Example: x11bridge host --socket /run/user/1000/x11bridge-gpu.sock

It prints the arguments that QEMU (11.1 or newer) needs for the device, and waits for it. The guest's memory must be shared:
  -object memory-backend-memfd,id=ram,share=on,size=2G -machine q35,memory-backend=ram -m 2G
With a policy other than open, guests are held to it here, where they can't get round it; "x11bridge status PATH", "top", "trace" and "reload"
then reach it by the path of the socket. SIGHUP reads the configuration files again.
Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't start, 2 for wrong usage.`;

const VM_HELP = `
Examples: x11bridge vm -- xterm
          x11bridge vm --share "$HOME/pictures:rw" -- gimp
          x11bridge vm --interactive

The guest has the host's files, the same user and the same folder. What it writes is kept in its memory and gone with it,
but for what it writes into a folder that is shared with :rw.

Exit codes: those of COMMAND; 128 + n when signal n ended it, 127 when it isn't found, 126 when it can't be executed,
1 when there is no guest or no bridge, 2 for wrong usage.
The first SIGINT, SIGTERM, SIGHUP or SIGQUIT is sent on to COMMAND; a second one ends the guest.`;
const GUARD_HELP = `
The policy is "guest" unless another one is set. With --socket PATH whoever may open PATH may connect, whatever cookie it shows; PATH is
made for its owner alone. Without it a display is served, with a cookie of its own, as by "serve".
Example: x11bridge guard --socket /run/user/1000/guest.sock --host-display :0

Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't start, 2 for wrong usage.`;

const CONFIG_HELP = `
Exit codes: 0 success, 1 when a file has faults, 2 wrong usage.`;

const CONFIG_SHOW_HELP = `
The text is a configuration file itself, with defaults as comments. With the options of "serve" it shows what would hold then.
Exit codes: 0 success, 1 when a file has faults, 2 wrong usage.`;

const CONFIG_CHECK_HELP = `
Every fault gets a line with the file, the line, the key and what was expected.
Exit codes: 0 when there is no fault, 1 when there is one, 2 wrong usage.`;

const DOCTOR_HELP = `
With the options of "serve" it looks whether that would work: a bridge of its own runs for a moment, on a free display.
Exit codes: 0 when a bridge works here, 1 when it doesn't, 2 wrong usage.`;

const COMPLETION_HELP = `
bash: x11bridge completion bash > ~/.local/share/bash-completion/completions/x11bridge
zsh:  x11bridge completion zsh > a folder of $fpath, as _x11bridge
fish: x11bridge completion fish > ~/.config/fish/completions/x11bridge.fish
Exit codes: 0 success, 2 wrong usage.`;

/**
 * Runs the command.
 * @param argv as of the process, with its first two entries
 * @returns the exit code
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const outcome: Outcome = { code: 0 };
  try {
    await createProgram(outcome).parseAsync(argv);
    return outcome.code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
}

/** The program with all its commands; they leave their exit code in `outcome`. */
export function createProgram(outcome: Outcome): Command {
  const program = new Command('x11bridge')
    .description('Carries X11 clients to an X server.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', PROGRAM_HELP)
    .configureOutput({ outputError: complaintOf('x11bridge') });
  for (const add of [runCommand, serveCommand, guardCommand, hostCommand, vmCommand, configCommand, doctorCommand, lookingCommands, completionCommand]) add(program, outcome);
  return program;
}

function runCommand(program: Command, outcome: Outcome): void {
  withSettings(subcommand(program, 'run'))
    .option('--json', 'write a line of JSON for each client to stderr; stdout is for COMMAND')
    .description('start a bridge and COMMAND with DISPLAY and XAUTHORITY set; end with its exit code')
    .usage('[options] -- COMMAND [ARGUMENT...]')
    .argument('<command...>', 'the program to run and its arguments')
    .passThroughOptions()
    .addHelpText('after', RUN_HELP)
    .action(async (command: string[], invocation: Invocation) => {
      const { run } = await import('./commands/run.js');
      outcome.code = await run(command, invocation);
    });
}

function serveCommand(program: Command, outcome: Outcome): void {
  withSettings(subcommand(program, 'serve'))
    .option('--json', 'write a line of JSON to stdout when ready, and for each client that comes or goes')
    .description('start a bridge and keep it until SIGTERM or SIGINT')
    .usage('[options]')
    .addHelpText('after', SERVE_HELP)
    .action(async (invocation: Invocation) => {
      const { serve } = await import('./commands/serve.js');
      outcome.code = await serve(invocation);
    });
}

function guardCommand(program: Command, outcome: Outcome): void {
  withSettings(subcommand(program, 'guard'), GUARD_SETTINGS)
    .option('--json', 'write a line of JSON to stdout when ready, and for each client that comes or goes')
    .description("put a policy between a virtual machine or a container and this host's X server")
    .usage('[--socket PATH] [options]')
    .addHelpText('after', GUARD_HELP)
    .action(async (invocation: Invocation) => {
      const { guard } = await import('./commands/guard.js');
      outcome.code = await guard(invocation);
    });
}

function hostCommand(program: Command, outcome: Outcome): void {
  const command = subcommand(program, 'host');
  for (const { key, argument, help, type } of Object.values(OWN_OPTIONS)) {
    command.addOption(Object.assign(new Option(`--${key} <${argument}>`, help), { words: type.words, paths: type.paths }));
  }
  withSettings(command, ['hostDisplay', 'hostXauthority', 'hostTimeout', 'policy', 'metrics', 'logLevel'])
    .option('--json', 'write a line of JSON to stdout when ready, and for each program of the guest that comes or goes')
    .description('give the guest of a virtual machine a way to the X server: the device that QEMU connects to')
    .usage('--socket PATH [options]')
    .addHelpText('after', HOST_HELP)
    .action(async (invocation: Invocation) => {
      const { host } = await import('./commands/host.js');
      outcome.code = await host(invocation);
    });
}

function vmCommand(program: Command, outcome: Outcome): void {
  withVmOptions(withSettings(subcommand(program, 'vm')))
    .description('run COMMAND in a virtual machine with the files of this one, and its windows here')
    .usage('[options] -- COMMAND [ARGUMENT...]')
    .argument('[command...]', 'the program to run and its arguments')
    .passThroughOptions()
    .addHelpText('after', VM_HELP)
    .action(async (command: string[], invocation: VmInvocation) => {
      const { vm } = await import('./commands/vm.js');
      outcome.code = await vm(command, invocation);
    });
}

function configCommand(program: Command, outcome: Outcome): void {
  const config = subcommand(program, 'config').description('show the settings, or check a file with some').addHelpText('after', CONFIG_HELP);
  withSettings(subcommand(config, 'show'))
    .option('--json', 'write one line of JSON')
    .description('print every setting, and where its value comes from')
    .usage('[options]')
    .addHelpText('after', CONFIG_SHOW_HELP)
    .action(async (invocation: Invocation) => {
      const { showConfig } = await import('./commands/config.js');
      outcome.code = showConfig(invocation);
    });
  subcommand(config, 'check')
    .description('check a configuration file')
    .argument('<file>', 'the file')
    .addHelpText('after', CONFIG_CHECK_HELP)
    .action(async (file: string) => {
      const { checkConfig } = await import('./commands/config.js');
      outcome.code = checkConfig(file);
    });
  subcommand(config, 'schema')
    .description('print the JSON Schema of a configuration file, for editors')
    .addHelpText('after', CONFIG_HELP)
    .action(async () => {
      const { printSchema } = await import('./commands/config.js');
      outcome.code = printSchema();
    });
}

function doctorCommand(program: Command, outcome: Outcome): void {
  withSettings(subcommand(program, 'doctor'))
    .option('--json', 'write one line of JSON')
    .description('look at this machine, and say what is missing and what to do about it')
    .usage('[options]')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (invocation: Invocation) => {
      const { doctor } = await import('./commands/doctor.js');
      outcome.code = await doctor(invocation);
    });
}

function completionCommand(program: Command, outcome: Outcome): void {
  subcommand(program, 'completion')
    .description('print what a shell needs to complete this command')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText('after', COMPLETION_HELP)
    .action(async (shell: string) => {
      const [{ completion }, { commandTree }] = await Promise.all([import('./commands/completion.js'), import('./command-tree.js')]);
      outcome.code = completion(shell, commandTree(program));
    });
}
