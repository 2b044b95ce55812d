// How a command was called: its flags, and what follows from them and from the other sources of settings.

import { Option, type Command } from 'commander';
import { ok, Result, safeTry } from 'neverthrow';
import type { BridgeError } from '../errors.js';
import type { ResolvedSettings, SettingName } from '../config/options.js';
import { resolveSettings } from '../config/resolve.js';
import { SCHEMA, SETTING_NAMES } from '../config/schema.js';
import { CONFIG_VARIABLE, readBridges, readSources, type Flags } from '../config/sources.js';

/** What commander hands to every command that takes settings. */
export interface Invocation extends Flags {
  readonly config?: string;
  readonly json?: boolean;
}

/** Adds settings to a command as options, all unless some are named, and the option that names the file. */
export function withSettings(command: Command, names: readonly SettingName[] = SETTING_NAMES): Command {
  for (const name of names) {
    const { key, argument, help, fallback, type } = SCHEMA[name];
    const option = new Option(`--${key} <${argument}>`, `${help} (default: ${fallback})`);
    command.addOption(Object.assign(option, { words: type.words, paths: type.paths }));
  }
  const file = new Option('--config <FILE>', `file with settings, in place of the usual two (default: $${CONFIG_VARIABLE})`);
  return command.addOption(Object.assign(file, { paths: 'file' }));
}

/** Reads every source, for each bridge that the files describe. */
export function settingsOfBridges(flags: Flags, env: NodeJS.ProcessEnv): Result<readonly ResolvedSettings[], BridgeError> {
  return readBridges(flags, env).andThen((bridges) => Result.combine(bridges.map((given) => resolveSettings(given, env, '--host-display'))));
}

/** Reads every source and checks it. */
export function settingsOf(flags: Flags, env: NodeJS.ProcessEnv): Result<ResolvedSettings, BridgeError> {
  return safeTry(function* () {
    const given = yield* readSources(flags, env);
    return ok(yield* resolveSettings(given, env, '--host-display'));
  });
}
