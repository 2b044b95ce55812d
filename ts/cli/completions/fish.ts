// Completions for fish.

import { everyCommand, type CommandNode, type OptionNode } from '../command-tree.js';

/** A file for `~/.config/fish/completions/x11bridge.fish`. */
export function fishCompletions(program: CommandNode): string {
  const lines = everyCommand(program).flatMap((command) => [
    ...command.commands.map((inner) => `complete -c x11bridge -f -n ${condition(command)} -a ${inner.path.at(-1)} -d ${quoted(inner.description)}`),
    ...command.options.map((option) => optionLine(command, option)),
  ]);
  return `# Completions of x11bridge for fish.\n${lines.join('\n')}\n`;
}

/** Within this command, and none below it. */
function condition({ path, commands }: CommandNode): string {
  const within = path.map((word) => `__fish_seen_subcommand_from ${word}`);
  const below = commands.length > 0 ? [`not __fish_seen_subcommand_from ${commands.map((inner) => inner.path.at(-1)).join(' ')}`] : [];
  return quoted([...within, ...below].join('; and '));
}

function optionLine(command: CommandNode, { flag, argument, description, words, paths }: OptionNode): string {
  const values = argument === undefined ? '' : paths === undefined ? ` -x${words.length > 0 ? ` -a ${quoted(words.join(' '))}` : ''}` : ' -r -F';
  return `complete -c x11bridge -n ${condition(command)} -l ${flag.slice(2)}${values} -d ${quoted(description)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
