// On which line a TOML file says what. The parser doesn't tell; here one walk over a text that it has found right does.

/** A statement: a key, or the header of a table. */
export interface Statement {
  /** The first part of the key or of the table's name. */
  readonly key: string;
  readonly kind: 'key' | 'table' | 'tables';
  /** The line on which it begins, from 1. */
  readonly line: number;
}

/** Strings over several lines, strings, comments, what opens and closes, ends of lines, and everything else. */
const TOKEN = /"""(?:\\[^]|[^\\])*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|[[{]|[\]}]|\n|[^"'#[\]{}\n]+|["']/g;
const HEAD = /^\s*(\[\[|\[|)\s*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([\w-]+))/;

/** Every statement of a text that is TOML. */
export function statementsOf(text: string): Statement[] {
  const statements: Statement[] = [];
  let [line, begun, depth, said] = [1, 1, 0, ''];
  for (const [token] of `${text}\n`.matchAll(TOKEN)) {
    if (token === '\n' && depth === 0) {
      statements.push(...statementIn(said, begun));
      said = '';
    } else if (!token.startsWith('#')) {
      if (said.trim() === '') begun = line;
      said += token;
    }
    if (token === '[' || token === '{') depth++;
    if (token === ']' || token === '}') depth--;
    line += token.split('\n').length - 1;
  }
  return statements;
}

function statementIn(said: string, line: number): Statement[] {
  const [, brackets, basic, literal, bare] = HEAD.exec(said) ?? [];
  const key = basic === undefined ? (literal ?? bare) : unescaped(basic);
  return key === undefined ? [] : [{ key, kind: brackets === '[[' ? 'tables' : brackets === '[' ? 'table' : 'key', line }];
}

/** The escapes of TOML's basic strings that keys are ever written with. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(?:u([\da-fA-F]{4})|(.))/g, (_, code: string | undefined, character: string) => (code === undefined ? character : String.fromCharCode(parseInt(code, 16))));
}
