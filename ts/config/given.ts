// What was given, and where: values from flags, the environment, files and defaults, each with its origin.

import { err, ok, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import type { SettingName } from './options.js';
import { SCHEMA, SETTING_NAMES, variableOf } from './schema.js';
import { checkValue } from './value.js';

/** Where a value came from. */
export type Origin =
  | { readonly from: 'flag' | 'option'; readonly name: string }
  | { readonly from: 'environment'; readonly variable: string }
  | { readonly from: 'file'; readonly file: string; readonly line: number }
  | { readonly from: 'default' };

/** A value as it was written. */
export interface Given {
  readonly value: unknown;
  readonly origin: Origin;
}

/** The settings that one source, or several together, give. */
export type GivenSettings = { readonly [Name in SettingName]?: Given };

/** Lays sources over each other, the strongest last. */
export function layered(...sources: readonly GivenSettings[]): GivenSettings {
  return Object.assign({}, ...sources) as GivenSettings;
}

/** What the variables `X11BRIDGE_…` give; an empty one gives nothing. */
export function fromEnvironment(env: NodeJS.ProcessEnv): GivenSettings {
  return fromTexts((name) => env[variableOf(name)] || undefined, (name) => ({ from: 'environment', variable: variableOf(name) }));
}

/** What the command line gives. */
export function fromFlags(flags: Readonly<Record<string, unknown>>): GivenSettings {
  return fromTexts((name) => flags[name], (name) => ({ from: 'flag', name: `--${SCHEMA[name].key}` }));
}

function fromTexts(textOf: (name: SettingName) => unknown, originOf: (name: SettingName) => Origin): GivenSettings {
  const given = SETTING_NAMES.flatMap((name): [SettingName, Given][] => {
    const text = textOf(name);
    return typeof text === 'string' ? [[name, { value: SCHEMA[name].type.fromText(text), origin: originOf(name) }]] : [];
  });
  return Object.fromEntries(given);
}

/** Checks every value of a source, so that one that is overridden is not left wrong. */
export function checkGiven(given: GivenSettings): Result<GivenSettings, BridgeError> {
  const [problem] = problemsOf(given);
  return problem === undefined ? ok(given) : err(problem);
}

/** Everything that is wrong with a source. */
export function problemsOf(given: GivenSettings): BridgeError[] {
  return SETTING_NAMES.flatMap((name) => {
    const one = given[name];
    if (one === undefined) return [];
    return checkValue<unknown>(SCHEMA[name].type, one.value).match(() => [], (problem) => [wrongValue(name, one.origin, problem)]);
  });
}

/** The error of a value that makes no sense. */
export function wrongValue(name: SettingName, origin: Origin, problem: string): BridgeError {
  return failure(origin.from === 'file' ? 'invalid-config' : 'invalid-option', `${placeOf(name, origin)} ${problem}`);
}

function placeOf(name: SettingName, origin: Origin): string {
  switch (origin.from) {
    case 'flag':
    case 'option':
      return origin.name;
    case 'environment':
      return origin.variable;
    case 'file':
      return `${origin.file}:${origin.line}: ${SCHEMA[name].key}`;
    case 'default':
      return SCHEMA[name].key;
  }
}
