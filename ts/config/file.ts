// Reads a configuration file, and says on which line what is.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { err, ok, Result } from 'neverthrow';
import type * as SmolToml from 'smol-toml';
import { failure, type BridgeError } from '../errors.js';
import { layered, problemsOf, type Given, type GivenSettings } from './given.js';
import { statementsOf, type Statement } from './key-lines.js';
import { SCHEMA, settingOfKey } from './schema.js';

/** Far more than all settings with long comments; whatever is longer is some other file. */
const FILE_BYTES_MAX = 64 << 10;

/** The key of the tables of which each is a bridge. */
export const BRIDGES = 'bridge';

/** What a file gives. */
export interface FileSettings {
  /** For every bridge. */
  readonly given: GivenSettings;
  /** For each bridge of its own; none where the file is about one. */
  readonly bridges: readonly GivenSettings[];
}

type Table = Readonly<Record<string, unknown>>;

/**
 * Reads and checks a file.
 * @param missing what it means when there is no such file: an error, or a file that gives nothing
 * @returns what it gives, or everything that is wrong with it
 */
export function readConfigFile(file: string, missing: 'refused' | 'empty'): Result<FileSettings, BridgeError[]> {
  return readText(file, missing)
    .mapErr((error) => [error])
    .andThen((text) => parseConfig(text, file));
}

/**
 * Checks the text of a file.
 * @param file its name for messages
 */
export function parseConfig(text: string, file: string): Result<FileSettings, BridgeError[]> {
  return parseToml(text)
    .mapErr((error) => [faulty(`${file}:${error.line}: ${firstLine(error)}`)])
    .andThen((table) => settingsOf(table, text, file));
}

function settingsOf(table: Table, text: string, file: string): Result<FileSettings, BridgeError[]> {
  const statements = statementsOf(text);
  const { [BRIDGES]: tables, ...top } = table;
  const topEnd = statements.findIndex(({ kind }) => kind === 'tables');
  const above = readTable(top, topEnd === -1 ? statements : [...statements.slice(0, topEnd), ...statements.slice(topEnd).filter(({ kind }) => kind !== 'key')], file);
  const sections = bridgeSections(statements);
  if (tables !== undefined && sections.length === 0) above.problems.push(faulty(`${file}:${lineOf(BRIDGES, statements)}: ${BRIDGES} must be tables, each behind a line [[${BRIDGES}]]`));
  const read = (sections.length === 0 ? [] : (tables as readonly Table[])).map((one, at) => readTable(one, sections[at] ?? [], file));
  const bridges = read.map(({ given }) => given);
  const problems = [...above.problems, ...read.flatMap((one) => one.problems), ...contradictions(bridges, file)];
  return problems.length === 0 ? ok({ given: above.given, bridges }) : err(problems);
}

function readTable(table: Table, statements: readonly Statement[], file: string): { given: GivenSettings; problems: BridgeError[] } {
  let given: GivenSettings = {};
  const problems: BridgeError[] = [];
  const keys = Object.keys(table).map((key) => ({ key, line: lineOf(key, statements) }));
  for (const { key, line } of keys.toSorted((one, other) => one.line - other.line)) {
    const name = settingOfKey(key);
    if (name === undefined) {
      problems.push(faulty(`${file}:${line}: there is no key ${JSON.stringify(key.slice(0, 60))}${proposal(key)}`));
      continue;
    }
    const one: GivenSettings = { [name]: { value: table[key], origin: { from: 'file', file, line } } };
    problems.push(...problemsOf(one));
    given = layered(given, one);
  }
  return { given, problems };
}

/** The statements of each table of a bridge. */
function bridgeSections(statements: readonly Statement[]): Statement[][] {
  const sections: Statement[][] = [];
  let current: Statement[] | undefined;
  for (const statement of statements) {
    if (statement.kind === 'key') current?.push(statement);
    else current = statement.kind === 'tables' && statement.key === BRIDGES ? [] : undefined;
    if (statement.kind === 'tables' && current !== undefined) sections.push(current);
  }
  return sections;
}

/** What tables of bridges can't say: two of them the same display, or what holds for the whole process. */
function contradictions(bridges: readonly GivenSettings[], file: string): BridgeError[] {
  const level = bridges.flatMap(({ logLevel }) => logLevel ?? []).map((given) => faulty(`${file}:${lineIn(given)}: log-level holds for all bridges: set it above the first [[${BRIDGES}]]`));
  const twice = (['display', 'socket'] as const).flatMap((name) => {
    const given = bridges.flatMap((bridge) => bridge[name] ?? []).filter(({ value }) => value !== 'auto');
    return given.flatMap((one, at) => {
      const first = given.findIndex(({ value }) => value === one.value);
      const earlier = given[first];
      return first === at || earlier === undefined ? [] : [faulty(`${file}:${lineIn(one)}: ${name} must be another one than that of line ${lineIn(earlier)}`)];
    });
  });
  return [...level, ...twice];
}

function lineIn({ origin }: Given): number {
  return origin.from === 'file' ? origin.line : 1;
}

/** People try the names of the API and of the environment. */
function proposal(key: string): string {
  const kebab = key.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').replaceAll('_', '-').toLowerCase();
  const meant = settingOfKey(kebab);
  return meant === undefined ? '; "x11bridge config show" lists those that there are' : `; it is written ${SCHEMA[meant].key}`;
}

/** The line on which a key, or its table, begins. */
function lineOf(key: string, statements: readonly Statement[]): number {
  return statements.find((statement) => statement.key === key)?.line ?? 1;
}

function parseToml(text: string): Result<Table, SmolToml.TomlError> {
  return Result.fromThrowable(
    () => smolToml().parse(text) as Table,
    (error) => error as SmolToml.TomlError,
  )();
}

/** Loaded for the first file: most starts have none. */
function smolToml(): typeof SmolToml {
  return require('smol-toml') as typeof SmolToml;
}

/** The cause on one line; what follows it in the parser's message is a picture of the place. */
function firstLine({ message }: SmolToml.TomlError): string {
  const [first = ''] = message.split('\n', 1);
  return first.replace(/^Invalid TOML document: /, 'this is no TOML: ');
}

function readText(file: string, missing: 'refused' | 'empty'): Result<string, BridgeError> {
  try {
    // Not blocking: a pipe without a writer would hold the start up for ever.
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return textOf(descriptor, file);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT' && missing === 'empty') return ok('');
    return err(faulty(`the configuration file ${file} can't be read (${code}): check its path and permissions, or name another one`));
  }
}

function textOf(descriptor: number, file: string): Result<string, BridgeError> {
  const stats = fstatSync(descriptor);
  if (!stats.isFile() && !stats.isCharacterDevice()) return err(faulty(`the configuration file ${file} isn't a file: name another one`));
  const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read) read = readSync(descriptor, bytes, length, bytes.length - length, null);
  if (length > FILE_BYTES_MAX) return err(faulty(`the configuration file ${file} is longer than ${FILE_BYTES_MAX} bytes: name another one`));
  return ok(bytes.toString('utf8', 0, length));
}

function faulty(message: string): BridgeError {
  return failure('invalid-config', message);
}
