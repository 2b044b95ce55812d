// Completions for bash.

import { everyCommand, type CommandNode, type OptionNode } from '../command-tree.js';

/** A script to be sourced, or to be put where bash-completion looks. */
export function bashCompletions(program: CommandNode): string {
  const commands = everyCommand(program);
  return `# Completions of x11bridge for bash.
_x11bridge() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= at
  for ((at = 1; at < COMP_CWORD; at++)); do
    if [[ \${COMP_WORDS[at]} == -- ]]; then
      if declare -F _command_offset >/dev/null; then _command_offset $((at + 1)); else mapfile -t COMPREPLY < <(compgen -c -- "$cur"); fi
      return
    fi
    case "$command \${COMP_WORDS[at]}" in
${commands.filter(({ path }) => path.length > 0).map(({ path }) => `      ${quoted(` ${path.join(' ')}`)}) command=${quoted(` ${path.join(' ')}`)} ;;`).join('\n')}
    esac
  done
  case "$command $prev" in
${commands.flatMap((command) => command.options.filter(({ argument }) => argument !== undefined).map((option) => valueCase(command, option))).join('\n')}
  esac
  case "$command" in
${commands.map((command) => `    ${quoted(command.path.map((word) => ` ${word}`).join(''))}) mapfile -t COMPREPLY < <(compgen -W ${quoted(wordsOf(command).join(' '))} -- "$cur") ;;`).join('\n')}
  esac
  if [[ \${#COMPREPLY[@]} == 0 && $cur != -* ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$cur"); fi
}
complete -o filenames -F _x11bridge x11bridge
`;
}

function valueCase({ path }: CommandNode, { flag, words, paths }: OptionNode): string {
  const kind = paths === 'directory' ? '-d' : paths === 'file' ? '-f' : '';
  const from = [words.length > 0 ? `-W ${quoted(words.join(' '))}` : '', kind].filter(Boolean).join(' ');
  const reply = from === '' ? 'COMPREPLY=()' : `mapfile -t COMPREPLY < <(compgen ${from} -- "$cur")`;
  return `    ${quoted(`${path.map((word) => ` ${word}`).join('')} ${flag}`)}) ${reply}; return ;;`;
}

function wordsOf({ commands, options }: CommandNode): string[] {
  return [...commands.map(({ path }) => path.at(-1) ?? ''), ...options.map(({ flag }) => flag)];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
