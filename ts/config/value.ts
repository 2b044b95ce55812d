// What a value may be: from one description follow the check, the words of its message, the JSON Schema, and what shells complete.

import { err, ok, type Result } from 'neverthrow';

/** The part of JSON Schema that is needed here. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A set of values, as people write them and as the program uses them. */
export interface ValueType<Value> {
  /** What fits, as in "must be …". */
  readonly expected: string;
  readonly schema: JsonSchema;
  /** Words that a shell proposes. */
  readonly words: readonly string[];
  /** What else a shell proposes. */
  readonly paths?: 'file' | 'directory';
  /** Turns the text of a flag or variable into what a file or the API would hold. */
  readonly fromText: (text: string) => unknown;
  /** The value as the program uses it; undefined within `ok` is a value like others. */
  readonly accept: (value: unknown) => { readonly value: Value } | undefined;
}

/**
 * Checks a value.
 * @returns what is wrong with it, to stand behind the value's name
 */
export function checkValue<Value>(type: ValueType<Value>, value: unknown): Result<Value, string> {
  const accepted = type.accept(value);
  return accepted === undefined ? err(`must be ${type.expected}, not ${shown(value)}`) : ok(accepted.value);
}

/** One of several words. */
export function oneOf<Word extends string>(words: readonly Word[]): ValueType<Word> {
  return {
    expected: enumeration(words),
    schema: { enum: words },
    words,
    fromText: asIs,
    accept: (value) => acceptIf(words.some((word) => word === value), value as Word),
  };
}

/** A word with a meaning of its own, or a value of another type. */
export function wordsOr<Meaning, Value>(meanings: Readonly<Record<string, Meaning>>, type: ValueType<Value>): ValueType<Meaning | Value> {
  const words = Object.keys(meanings);
  return {
    ...type,
    expected: `${enumeration([...words, type.expected])}`,
    schema: { anyOf: [{ enum: words }, type.schema] },
    words: [...words, ...type.words],
    accept: (value) => (typeof value === 'string' && Object.hasOwn(meanings, value) ? { value: meanings[value] as Meaning } : type.accept(value)),
  };
}

/** A number within limits, which are allowed themselves. `of` says what it counts, as in "of seconds". */
export function numberFrom(min: number, max: number, { of = '', integer = false } = {}): ValueType<number> {
  return {
    expected: `a number ${of === '' ? '' : `of ${of} `}from ${min} to ${max}`,
    schema: { type: integer ? 'integer' : 'number', minimum: min, maximum: max },
    words: [],
    // Anything else stays text, so that the message shows what was written.
    fromText: (text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text),
    accept: (value) => acceptIf(typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value)), value as number),
  };
}

/** Text that isn't empty. */
export function textual(expected: string, more: { paths?: 'file' | 'directory'; pattern?: RegExp } = {}): ValueType<string> {
  const { paths, pattern } = more;
  return {
    expected,
    schema: { type: 'string', minLength: 1, ...(pattern && { pattern: pattern.source }) },
    words: [],
    ...(paths && { paths }),
    fromText: asIs,
    // A NUL would end the string early in every system call.
    accept: (value) => acceptIf(typeof value === 'string' && value !== '' && !value.includes('\0') && (pattern?.test(value) ?? true), value as string),
  };
}

/** The number of a display, written with its colon. */
export function displayNumber(max: number): ValueType<number> {
  const pattern = /^:(\d{1,5})$/;
  return {
    expected: `a display from :0 to :${max}`,
    schema: { type: 'string', pattern: pattern.source },
    words: [],
    fromText: asIs,
    accept: (value) => {
      const number = Number((typeof value === 'string' ? pattern.exec(value)?.[1] : undefined) ?? Number.NaN);
      return acceptIf(number <= max, number);
    },
  };
}

function asIs(text: string): string {
  return text;
}

function acceptIf<Value>(fits: boolean, value: Value): { readonly value: Value } | undefined {
  return fits ? { value } : undefined;
}

/** "a, b or c". */
export function enumeration(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** A value as the person wrote it, on one line and short. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : kindOrText(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

function kindOrText(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  return typeof value === 'object' && value !== null ? 'a table' : String(value);
}
