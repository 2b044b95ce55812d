// From what was given to a checked configuration.

import { err, ok, safeTry, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import { checkGiven, wrongValue, type Given, type GivenSettings } from './given.js';
import type { BridgeConfig, ChannelOption, LiveConfig, OptionName, ResolvedSettings, Settings, SettingName } from './options.js';
import { SCHEMA, SETTING_NAMES } from './schema.js';
import { checkValue } from './value.js';

/** Options as they come from outside: the API's caller may be JavaScript without types. */
export type RawOptions = { readonly [Name in OptionName]?: unknown };

/** Checks the options of the API and fills in what comes from the environment; no file is read. */
export function resolveOptions(raw: RawOptions, env: NodeJS.ProcessEnv): Result<BridgeConfig, BridgeError> {
  return givenByCaller(raw).andThen((given) => resolveSettings(given, env, 'hostDisplay'));
}

/** Checks the options that may change while a bridge runs. */
export function resolveLiveOptions(raw: unknown): Result<LiveConfig & Pick<BridgeConfig, 'policy'>, BridgeError> {
  if (typeof raw !== 'object' || raw === null) return err(failure('invalid-option', 'the options must be an object'));
  const fixed = Object.keys(raw).find((option) => SETTING_NAMES.some((name) => name === option && !['request', 'later'].includes(SCHEMA[name].applies)));
  if (fixed !== undefined) return err(failure('invalid-option', `${fixed} can't change while the bridge runs`));
  return givenByCaller(raw as RawOptions).andThen((given) =>
    resolveSettings(given, { DISPLAY: 'irrelevant' }, 'hostDisplay').map(({ dri3, shm, ...config }) => ({ ...config, ...('dri3' in given && { dri3 }), ...('shm' in given && { shm }) })),
  );
}

function givenByCaller(raw: Readonly<Record<string, unknown>>): Result<GivenSettings, BridgeError> {
  const given: { [Name in SettingName]?: Given } = {};
  for (const [option, value] of Object.entries(raw)) {
    const name = SETTING_NAMES.find((candidate) => candidate === option && SCHEMA[candidate].of === 'bridge');
    if (name === undefined) return err(failure('invalid-option', `there is no option named ${option}`));
    if (value !== undefined) given[name] = { value, origin: { from: 'option', name } };
  }
  return checkGiven(given);
}

/**
 * Checks every setting and fills in what comes from the environment.
 * @param hostDisplayName how a message names the option for the X server
 */
export function resolveSettings(given: GivenSettings, env: NodeJS.ProcessEnv, hostDisplayName: string): Result<ResolvedSettings, BridgeError> {
  const read = <Name extends SettingName>(name: Name): Result<Settings[Name] | undefined, BridgeError> => {
    const one = given[name];
    if (one === undefined) return ok(undefined);
    return checkValue<Settings[Name]>(SCHEMA[name].type, one.value).mapErr((problem) => wrongValue(name, one.origin, problem));
  };
  return safeTry(function* () {
    const named = yield* read('hostDisplay');
    const channel = (yield* read('channel')) ?? 'auto';
    // An empty DISPLAY is none.
    const hostDisplay = named ?? (env['DISPLAY'] || undefined);
    if (hostDisplay === undefined && NEED_DISPLAY.has(channel)) return err(noServer(hostDisplayName));
    return ok({
      display: yield* read('display'),
      socket: yield* read('socket'),
      hostDisplay,
      hostDisplayNamed: named !== undefined,
      hostXauthority: yield* read('hostXauthority'),
      channel,
      renderNode: yield* read('renderNode'),
      dri3: (yield* read('dri3')) ?? 'auto',
      fences: (yield* read('fences')) ?? 'auto',
      policy: yield* read('policy'),
      shm: (yield* read('shm')) ?? 'auto',
      spin: yield* read('spin'),
      clientsMax: yield* read('clientsMax'),
      hostTimeout: yield* read('hostTimeout'),
      runtimeDir: yield* read('runtimeDir'),
      metrics: yield* read('metrics'),
      logLevel: (yield* read('logLevel')) ?? 'warn',
    });
  });
}

/** Channels that lead nowhere by themselves; `auto` may find one that does. */
const NEED_DISPLAY: ReadonlySet<ChannelOption> = new Set<ChannelOption>(['loopback', 'socket']);

/** What is wrong when nothing names an X server. */
export function noServer(option: string): BridgeError {
  return failure('invalid-option', `there is no X server to carry clients to: set DISPLAY, or name one with ${option}`);
}
