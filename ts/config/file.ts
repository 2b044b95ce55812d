// Reads a configuration file, and says on which line what is.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { err, ok, Result } from 'neverthrow';
import type * as SmolToml from 'smol-toml';
import { failure, type BridgeError } from '../errors.js';
import { layered, problemsOf, type GivenSettings } from './given.js';
import { SCHEMA, settingOfKey } from './schema.js';

/** Far more than all settings with long comments; whatever is longer is some other file. */
const FILE_BYTES_MAX = 64 << 10;

type Table = Readonly<Record<string, unknown>>;

/**
 * Reads and checks a file.
 * @param missing what it means when there is no such file: an error, or a file that gives nothing
 * @returns what it gives, or everything that is wrong with it
 */
export function readConfigFile(file: string, missing: 'refused' | 'empty'): Result<GivenSettings, BridgeError[]> {
  return readText(file, missing)
    .mapErr((error) => [error])
    .andThen((text) => parseConfig(text, file));
}

/**
 * Checks the text of a file.
 * @param file its name for messages
 */
export function parseConfig(text: string, file: string): Result<GivenSettings, BridgeError[]> {
  return parseToml(text)
    .mapErr((error) => [faulty(`${file}:${error.line}: ${firstLine(error)}`)])
    .andThen((table) => settingsOf(table, text, file));
}

function settingsOf(table: Table, text: string, file: string): Result<GivenSettings, BridgeError[]> {
  let given: GivenSettings = {};
  const problems: BridgeError[] = [];
  const keys = Object.keys(table).map((key) => ({ key, line: lineOf(key, text) }));
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
  return problems.length === 0 ? ok(given) : err(problems);
}

/** People try the names of the API and of the environment. */
function proposal(key: string): string {
  const kebab = key.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').replaceAll('_', '-').toLowerCase();
  const meant = settingOfKey(kebab);
  return meant === undefined ? '; "x11bridge config show" lists those that there are' : `; it is written ${SCHEMA[meant].key}`;
}

/**
 * The line on which a key of the top table begins, from 1. The parser doesn't tell, but it parses beginnings of the file: the first one
 * that has the key ends with its value, and the last one before that ends just above its line.
 */
function lineOf(key: string, text: string): number {
  const lines = text.split('\n');
  let above = 0;
  for (let count = 1; count <= lines.length; count++) {
    const beginning = parseToml(lines.slice(0, count).join('\n'));
    if (beginning.isErr()) continue;
    if (Object.hasOwn(beginning.value, key)) break;
    above = count;
  }
  return above + 1;
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
