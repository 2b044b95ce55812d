// Completions for zsh.

import { everyCommand, type CommandNode, type OptionNode } from '../command-tree.js';

/** A file for a folder of `$fpath`, under the name `_x11bridge`. */
export function zshCompletions(program: CommandNode): string {
  return `#compdef x11bridge
# Completions of x11bridge for zsh.
${everyCommand(program).map(completer).join('\n')}
if [ "$funcstack[1]" = _x11bridge ]; then _x11bridge "$@"; else compdef _x11bridge x11bridge; fi
`;
}

function completer(command: CommandNode): string {
  const options = command.options.map((option) => `    ${specification(option)}`);
  const rest = command.commands.length > 0 ? ["    '1:command:->command'", "    '*::argument:->argument'"] : ["    '*::argument:_normal'"];
  return `${functionName(command.path)}() {
  local curcontext=$curcontext state line
  _arguments -C \\
${[...options, ...rest].join(' \\\n')}
${command.commands.length > 0 ? `${dispatch(command)}\n` : ''}}`;
}

function dispatch({ commands }: CommandNode): string {
  const described = commands.map(({ path, description }) => `      ${quoted(`${path.at(-1)}:${description}`)}`);
  return `  case $state in
    command) local -a commands=(
${described.join('\n')}
    ); _describe command commands ;;
    argument) case $line[1] in
${commands.map(({ path }) => `      ${path.at(-1)}) ${functionName(path)} ;;`).join('\n')}
    esac ;;
  esac`;
}

function specification({ flag, argument, description, words, paths }: OptionNode): string {
  const text = description.replaceAll(/[[\]:\\]/g, (character) => `\\${character}`);
  if (argument === undefined) return quoted(`${flag}[${text}]`);
  const values = words.length > 0 ? `(${words.join(' ')})` : paths === 'directory' ? '_files -/' : paths === 'file' ? '_files' : '';
  return quoted(`${flag}[${text}]:${argument.replaceAll(/[<>:[\]]/g, '')}:${values}`);
}

function functionName(path: readonly string[]): string {
  return ['_x11bridge', ...path].join('_');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
