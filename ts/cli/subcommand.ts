// How commands are added to each other.

import type { Command } from 'commander';

/** Where a command leaves its exit code. */
export interface Outcome {
  code: number;
}

/** Adds a command below another. */
export function subcommand(parent: Command, name: string): Command {
  const command = parent.createCommand(name).copyInheritedSettings(parent).helpOption('--help', 'print this help').helpCommand(false);
  parent.addCommand(command);
  return command;
}
