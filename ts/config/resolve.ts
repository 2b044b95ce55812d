// From options to a checked configuration.

import { err, ok, safeTry, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import { OPTION_RULES, type BridgeConfig, type OptionName } from './options.js';

/** Options as they come from outside: the API's caller may be JavaScript without types. */
export type RawOptions = { readonly [Name in OptionName]?: unknown };

/**
 * Checks every option and fills in what comes from the environment.
 * @param nameOf how an error message names an option: `clientsMax` in the API, `--clients-max` on the command line
 */
export function resolveOptions(raw: RawOptions, env: NodeJS.ProcessEnv, nameOf: (option: OptionName) => string): Result<BridgeConfig, BridgeError> {
  const unknown = Object.keys(raw).find((name) => !Object.hasOwn(OPTION_RULES, name));
  if (unknown !== undefined) return err(failure('invalid-option', `there is no option named ${unknown}`));
  const read = <Name extends OptionName>(option: Name): Result<BridgeConfig[Name] | undefined, BridgeError> => {
    const value = raw[option];
    if (value === undefined) return ok(undefined);
    return OPTION_RULES[option].check(value).mapErr((problem) => failure('invalid-option', `${nameOf(option)} ${problem}`));
  };
  return safeTry(function* () {
    return ok({
      display: yield* read('display'),
      hostDisplay: (yield* read('hostDisplay')) ?? (yield* displayOf(env, nameOf('hostDisplay'))),
      hostXauthority: yield* read('hostXauthority'),
      channel: (yield* read('channel')) ?? 'auto',
      spin: yield* read('spin'),
      clientsMax: yield* read('clientsMax'),
      hostTimeout: yield* read('hostTimeout'),
      runtimeDir: yield* read('runtimeDir'),
    });
  });
}

function displayOf(env: NodeJS.ProcessEnv, option: string): Result<string, BridgeError> {
  const display = env['DISPLAY'];
  if (display) return ok(display);
  return err(failure('invalid-option', `there is no X server to carry clients to: set DISPLAY, or name one with ${option}`));
}
