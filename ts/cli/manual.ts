// The manual page, in the language of man(7).

import { SCHEMA, SETTING_NAMES, variableOf } from '../config/schema.js';
import { everyCommand, type CommandNode, type OptionNode } from './command-tree.js';

/** The page x11bridge(1). */
export function manualPage(program: CommandNode, version: string): string {
  const commands = everyCommand(program).filter(({ commands: inner }) => inner.length === 0);
  return [
    `.TH X11BRIDGE 1 "" "x11bridge ${version}" "User Commands"`,
    '.SH NAME',
    'x11bridge \\- carries X11 clients to an X server',
    '.SH SYNOPSIS',
    ...commands.flatMap((command) => ['.nf', `\\fBx11bridge ${escaped(command.path.join(' '))}\\fR ${escaped(command.usage)}`, '.fi']),
    '.SH COMMANDS',
    ...commands.flatMap(commandSection),
    '.SH FILES',
    ...entry('/etc/x11bridge/config.toml', 'settings for everybody on the machine'),
    ...entry('~/.config/x11bridge/config.toml', 'settings of a user, which win over those'),
    ...entry('$XDG_RUNTIME_DIR/x11bridge/', 'cookies for clients, and sockets for those who look at a bridge'),
    '.SH ENVIRONMENT',
    ...SETTING_NAMES.flatMap((name) => entry(variableOf(name), `as --${SCHEMA[name].key}`)),
    ...entry('X11BRIDGE_CONFIG', 'as --config'),
    ...entry('X11BRIDGE_DEBUG', '1 shows where an unexpected failure comes from'),
    ...entry('NO_COLOR', 'when set, nothing is coloured'),
    '.SH SEE ALSO',
    'X(7), xauth(1), Xserver(1)',
    '',
  ].join('\n');
}

function commandSection({ path, description, options, notes }: CommandNode): string[] {
  return [`.SS ${escaped(path.join(' '))}`, `${escaped(capital(description))}.`, ...options.flatMap(optionEntry), '.PP', '.nf', ...notes.split('\n').map(escaped), '.fi'];
}

function optionEntry({ flag, argument, description }: OptionNode): string[] {
  return entry(`${flag}${argument === undefined ? '' : ` ${argument}`}`, description);
}

function entry(term: string, text: string): string[] {
  return ['.TP', `\\fB${escaped(term)}\\fR`, escaped(text)];
}

/** Nothing in it is taken for a request or an escape. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll(/^(?=[.'])/gm, '\\&');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
