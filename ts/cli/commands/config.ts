// `x11bridge config`: what the settings are, whether a file is right, and what may stand in one.

import { isDeepStrictEqual } from 'node:util';
import { Result } from 'neverthrow';
import { BRIDGES, readConfigFile } from '../../config/file.js';
import type { Given, GivenSettings, Origin } from '../../config/given.js';
import type { SettingName } from '../../config/options.js';
import { jsonSchema, SCHEMA, SETTING_NAMES } from '../../config/schema.js';
import { effective, readBridges, readSources, unknownVariables, type Flags } from '../../config/sources.js';
import type { Invocation } from '../invocation.js';
import { complain, complainAbout, say } from '../terminal.js';
import { jsonLine } from '../units.js';

/**
 * Prints every setting with its value and where it came from; the text is itself a configuration file, which sets what is not a default.
 * @returns the exit code
 */
export function showConfig({ json, ...flags }: Invocation): number {
  return Result.combine([readSources(flags as Flags, process.env), readBridges(flags as Flags, process.env)]).match(
    ([given, bridges]) => {
      const all = effective(given, process.env);
      const own = bridges.map((bridge) => ownOf(bridge, given)).filter((table) => bridges.length > 1 || Object.keys(table).length > 0);
      for (const line of json ? [jsonLine({ ...asJson(all), ...(own.length > 0 && { [BRIDGES]: own.map(asJson) }) })] : [...asText(all), ...own.flatMap((table) => ['', `[[${BRIDGES}]]`, ...asText(table)])]) say(line);
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

type Effective = { readonly [Name in SettingName]?: Given | undefined };

/** What a bridge has that the others have not. */
function ownOf(bridge: GivenSettings, all: GivenSettings): GivenSettings {
  return Object.fromEntries(Object.entries(bridge).filter(([name, given]) => !isDeepStrictEqual(all[name as SettingName], given)));
}

function asJson(all: Effective): object {
  const entries = SETTING_NAMES.filter((name) => name in all).map((name) => {
    const { value, origin } = all[name] ?? { value: null, origin: { from: 'default' } };
    return [SCHEMA[name].key, { value, origin }];
  });
  return Object.fromEntries(entries) as object;
}

function asText(all: Effective): string[] {
  const lines = SETTING_NAMES.filter((name) => name in all).map((name): readonly [setting: string, origin: string] => {
    const { key, fallback } = SCHEMA[name];
    const given = all[name];
    if (given === undefined) return [`# ${key}`, `not set: ${fallback}`];
    const line = `${key} = ${JSON.stringify(given.value)}`;
    // A default in a file would be a choice, where commands differ in their defaults.
    return given.origin.from === 'default' ? [`# ${line}`, `default: ${fallback}`] : [line, originText(given.origin)];
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
