// The commands and their options as plain data, from which the manual page and the shells' completions are made.

import type { EventEmitter } from 'node:events';
import type { Command, Option } from 'commander';

export interface OptionNode {
  /** With its dashes. */
  readonly flag: string;
  /** The placeholder of its value, such as `<FILE>`; undefined for a switch. */
  readonly argument: string | undefined;
  readonly description: string;
  /** What a shell proposes as value. */
  readonly words: readonly string[];
  readonly paths: 'file' | 'directory' | undefined;
}

export interface CommandNode {
  /** The words behind `x11bridge`; empty for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly usage: string;
  /** The text behind the options in the help. */
  readonly notes: string;
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
}

/** Reads a command and all below it. */
export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  const notes: string[] = [];
  // As commander does for the help; its types don't tell that commands emit.
  (command as unknown as EventEmitter).emit('afterHelp', { command, error: false, write: (text: string) => notes.push(text) });
  const help = command.createHelp();
  return {
    path,
    description: command.description(),
    usage: command.usage(),
    notes: notes.join('').trim(),
    options: help.visibleOptions(command).map(optionNode),
    commands: command.commands.map((inner) => commandTree(inner, [...path, inner.name()])),
  };
}

/** The command and all below it, the outermost first. */
export function everyCommand(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(everyCommand)];
}

/** Options of settings carry what their values may be. */
function optionNode(option: Option & { readonly words?: readonly string[]; readonly paths?: 'file' | 'directory' }): OptionNode {
  const [, argument] = / (<.*>)$/.exec(option.flags) ?? [];
  return { flag: option.long ?? option.flags, argument, description: option.description, words: option.words ?? [], paths: option.paths };
}
