// `x11bridge config`: what the settings are, whether a file is right, and what may stand in one.

import { readConfigFile } from '../../config/file.js';
import type { Given, Origin } from '../../config/given.js';
import type { SettingName } from '../../config/options.js';
import { jsonSchema, SCHEMA, SETTING_NAMES } from '../../config/schema.js';
import { effective, readSources, unknownVariables, type Flags } from '../../config/sources.js';
import type { Invocation } from '../invocation.js';
import { complain, complainAbout, say } from '../terminal.js';
import { jsonLine } from '../units.js';

/**
 * Prints every setting with its value and where it came from; the text is itself a configuration file.
 * @returns the exit code
 */
export function showConfig({ json, ...flags }: Invocation): number {
  return readSources(flags as Flags, process.env).match(
    (given) => {
      const all = effective(given, process.env);
      for (const line of json ? [jsonLine(asJson(all))] : asText(all)) say(line);
      for (const variable of unknownVariables(process.env)) complain(`warn: ${variable} is no setting, and has no effect`);
      return 0;
    },
    (error) => complainAbout(error),
  );
}

/**
 * Checks a file and names everything that is wrong with it.
 * @returns the exit code: 1 when something is
 */
export function checkConfig(file: string): number {
  return readConfigFile(file, 'refused').match(
    () => {
      say(`${file}: no faults`);
      return 0;
    },
    (problems) => {
      for (const problem of problems) complainAbout(problem);
      return 1;
    },
  );
}

/** Prints the JSON Schema of a configuration file. */
export function printSchema(): number {
  say(JSON.stringify(jsonSchema(), undefined, 2));
  return 0;
}

type Effective = { readonly [Name in SettingName]: Given | undefined };

function asJson(all: Effective): object {
  const entries = SETTING_NAMES.map((name) => {
    const { value, origin } = all[name] ?? { value: null, origin: { from: 'default' } };
    return [SCHEMA[name].key, { value, origin }];
  });
  return Object.fromEntries(entries) as object;
}

function asText(all: Effective): string[] {
  const lines = SETTING_NAMES.map((name): readonly [setting: string, origin: string] => {
    const { key, fallback } = SCHEMA[name];
    const given = all[name];
    if (given === undefined) return [`# ${key}`, `not set: ${fallback}`];
    return [`${key} = ${JSON.stringify(given.value)}`, given.origin.from === 'default' ? `default: ${fallback}` : originText(given.origin)];
  });
  const width = Math.max(...lines.map(([setting]) => setting.length));
  return lines.map(([setting, origin]) => `${setting.padEnd(width)}  # ${origin}`);
}

function originText(origin: Origin): string {
  switch (origin.from) {
    case 'flag':
    case 'option':
      return origin.name;
    case 'environment':
      return `$${origin.variable}`;
    case 'file':
      return `${origin.file}:${origin.line}`;
    case 'default':
      return 'default';
  }
}
