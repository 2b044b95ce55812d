// The sources of settings, in their order: the machine's file, the user's file, the environment, the command line.

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { err, ok, safeTry, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import { readConfigFile, type FileSettings } from './file.js';
import { checkGiven, fromEnvironment, fromFlags, layered, type Given, type GivenSettings } from './given.js';
import type { SettingName } from './options.js';
import { SCHEMA, SETTING_NAMES, variableOf } from './schema.js';

/** The variable, and with dashes the flag, that names a file to be read in place of the two usual ones. */
export const CONFIG_VARIABLE = 'X11BRIDGE_CONFIG';
/** Variables of the bridge that are no settings. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([CONFIG_VARIABLE, 'X11BRIDGE_DEBUG']);

/** The command line's part: the flags as texts, by the settings' names, and `config` for `--config`. */
export type Flags = Readonly<Record<string, unknown>>;

/** The files that are read, the weakest first. */
export function configFiles(flags: Flags, env: NodeJS.ProcessEnv): { readonly files: readonly string[]; readonly chosen: boolean } {
  const chosen = flags['config'] ?? (env[CONFIG_VARIABLE] || undefined);
  if (typeof chosen === 'string') return { files: [chosen], chosen: true };
  return { files: ['/etc/x11bridge/config.toml', userFile(env)], chosen: false };
}

function userFile(env: NodeJS.ProcessEnv): string {
  const home = env['XDG_CONFIG_HOME'];
  // The XDG specification has relative paths ignored.
  const folder = home !== undefined && isAbsolute(home) ? home : join(homedir(), '.config');
  return join(folder, 'x11bridge', 'config.toml');
}

/** Reads and checks every source. Of the usual files none has to be there; one that was named has. Tables of bridges are left out. */
export function readSources(flags: Flags, env: NodeJS.ProcessEnv): Result<GivenSettings, BridgeError> {
  return readAll(flags, env).map(({ files, stronger }) => layered(...files.map(({ given }) => given), stronger));
}

/** The same for each bridge that the files describe; without tables of bridges there is one. The user's tables replace the machine's. */
export function readBridges(flags: Flags, env: NodeJS.ProcessEnv): Result<readonly GivenSettings[], BridgeError> {
  return readAll(flags, env).andThen(({ files, stronger }) => {
    const tables = files.findLast(({ bridges }) => bridges.length > 0)?.bridges ?? [{}];
    const single = (['display', 'socket'] as const).flatMap((name) => stronger[name] ?? [])[0];
    if (tables.length > 1 && single !== undefined) return err(failure('invalid-option', `${originName(single)} can't be that of ${tables.length} bridges: leave it out, or name another file with --config`));
    const shared = files.map(({ given }) => given);
    return ok(tables.map((table) => layered(...shared, table, stronger)));
  });
}

/** The files, and what is stronger than they. */
function readAll(flags: Flags, env: NodeJS.ProcessEnv): Result<{ files: readonly FileSettings[]; stronger: GivenSettings }, BridgeError> {
  return safeTry(function* () {
    const { files: names, chosen } = configFiles(flags, env);
    const files: FileSettings[] = [];
    for (const name of names) files.push(yield* readConfigFile(name, chosen ? 'refused' : 'empty').mapErr(firstOf));
    const variables = yield* checkGiven(fromEnvironment(env));
    return ok({ files, stronger: layered(variables, yield* checkGiven(fromFlags(flags))) });
  });
}

function originName({ origin }: Given): string {
  return origin.from === 'environment' ? origin.variable : origin.from === 'flag' ? origin.name : 'the display';
}

function firstOf(problems: BridgeError[]): BridgeError {
  return problems[0] ?? failure('internal', 'a file was refused without a reason');
}

/** Variables that look like settings of the bridge and are none: most likely misspelt. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set(SETTING_NAMES.map(variableOf));
  return Object.keys(env).filter((name) => name.startsWith('X11BRIDGE_') && !known.has(name) && !OTHER_VARIABLES.has(name));
}

/** What holds for every setting, with its origin; undefined where there is neither a value nor a default. */
export function effective(given: GivenSettings, env: NodeJS.ProcessEnv): { readonly [Name in SettingName]: Given | undefined } {
  const entries = SETTING_NAMES.map((name) => [name, given[name] ?? standardOf(name, env)]);
  return Object.fromEntries(entries) as { [Name in SettingName]: Given | undefined };
}

function standardOf(name: SettingName, env: NodeJS.ProcessEnv): Given | undefined {
  const { standard } = SCHEMA[name];
  const value = typeof standard === 'function' ? standard(env) : standard;
  return value === undefined || value === '' ? undefined : { value, origin: { from: 'default' } };
}
