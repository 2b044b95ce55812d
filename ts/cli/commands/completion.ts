// `x11bridge completion`: what a shell needs to complete the command.

import { failure } from '../../errors.js';
import type { CommandNode } from '../command-tree.js';
import { bashCompletions } from '../completions/bash.js';
import { fishCompletions } from '../completions/fish.js';
import { zshCompletions } from '../completions/zsh.js';
import { complainAbout } from '../terminal.js';

const SHELLS: Readonly<Record<string, (program: CommandNode) => string>> = { bash: bashCompletions, zsh: zshCompletions, fish: fishCompletions };

/** @returns the exit code */
export function completion(shell: string, program: CommandNode): number {
  const make = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (make === undefined) return complainAbout(failure('invalid-option', `there are completions for ${Object.keys(SHELLS).join(', ')}, not for ${JSON.stringify(shell.slice(0, 60))}`));
  process.stdout.write(make(program));
  return 0;
}
