// How commands are added to each other.

import type { Command } from 'commander';
import { complain } from './terminal.js';

/** Where a command leaves its exit code. */
export interface Outcome {
  code: number;
}

/** Adds a command below another. */
export function subcommand(parent: Command, name: string): Command {
  const command = parent.createCommand(name).copyInheritedSettings(parent).helpOption('-h, --help', 'print this help').helpCommand(false);
  const path = parent.parent === null ? [parent.name(), name] : [parent.parent.name(), parent.name(), name];
  command.configureOutput({ outputError: complaintOf(path.join(' ')) });
  parent.addCommand(command);
  return command;
}

/** Tells in one sentence what is wrong with the arguments of a command, in commander's words, with the way to its help. */
export function complaintOf(command: string): (text: string) => void {
  return (text) => {
    const [first = '', ...more] = text.trim().replace(/^error: /, '').split('\n');
    complain(`${[first.replace(/\.$/, ''), ...more].join(' ').replace('. Expected', ': expected')}; see ${command} --help`);
  };
}
