// From the options of a host half to a checked configuration.

import { resolve } from 'node:path';
import { err, ok, safeTry, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import type { HostConfig } from './host-options.js';
import type { Settings } from './options.js';
import { noServer, resolveOptions } from './resolve.js';
import { checkValue, numberFrom, textual, type ValueType } from './value.js';

/** The addon's own limit. */
export const CONTEXTS_MAX = 65_536;
/** What the kernel takes as the path of a socket, in bytes. */
const SOCKET_PATH_MAX = 107;

/** The options that a bridge has not. */
export type OwnOptionName = 'socket' | 'contextsMax';

interface OwnOption {
  readonly key: string;
  readonly argument: string;
  readonly help: string;
  readonly type: ValueType<string> | ValueType<number>;
}

/** Each of them, in the order of the help text. */
export const OWN_OPTIONS: Readonly<Record<OwnOptionName, OwnOption>> = {
  socket: {
    key: 'socket',
    argument: 'PATH',
    help: 'socket for QEMU to connect to; it must be given',
    type: textual('the path of a socket', { paths: 'file' }),
  },
  contextsMax: {
    key: 'contexts-max',
    argument: 'N',
    help: `how many programs of the guest may be connected at once, 1 to ${CONTEXTS_MAX} (default: 512)`,
    type: numberFrom(1, CONTEXTS_MAX, { integer: true }),
  },
};

/** Checks the options of the API and fills in what comes from the environment. */
export function resolveHostOptions({ socket, contextsMax, ...shared }: Readonly<Record<string, unknown>>, env: NodeJS.ProcessEnv): Result<HostConfig, BridgeError> {
  const foreign = Object.keys(shared).find((name) => !['hostDisplay', 'hostXauthority', 'hostTimeout', 'policy'].includes(name));
  if (foreign !== undefined) return err(failure('invalid-option', `there is no option named ${foreign}`));
  return resolveOptions(shared, env).andThen((config) => hostConfig(config, { socket, contextsMax }, (name) => name));
}

/**
 * Joins what a host half shares with a bridge and what it has alone.
 * @param nameOf how an error message names an option
 */
export function hostConfig(
  { hostDisplay, hostXauthority, hostTimeout, policy }: Pick<Settings, 'hostDisplay' | 'hostXauthority' | 'hostTimeout' | 'policy'>,
  own: { readonly [Name in OwnOptionName]?: unknown },
  nameOf: (name: OwnOptionName | 'hostDisplay') => string,
): Result<HostConfig, BridgeError> {
  const read = <Value>(name: OwnOptionName): Result<Value | undefined, BridgeError> => {
    const value = own[name];
    if (value === undefined) return ok(undefined);
    const type = OWN_OPTIONS[name].type as unknown as ValueType<Value>;
    return checkValue(type, value).mapErr((problem) => failure('invalid-option', `${nameOf(name)} ${problem}`));
  };
  return safeTry(function* () {
    if (hostDisplay === undefined) return err(noServer(nameOf('hostDisplay')));
    const path = yield* read<string>('socket');
    if (path === undefined) return err(failure('invalid-option', `there is no socket for QEMU to connect to: name one with ${nameOf('socket')}`));
    const socket = yield* socketPath(path, nameOf('socket'));
    return ok({ socket, hostDisplay, hostXauthority, hostTimeout, policy, contextsMax: yield* read<number>('contextsMax') });
  });
}

/** Absolute, since QEMU may run elsewhere. */
function socketPath(path: string, name: string): Result<string, BridgeError> {
  const absolute = resolve(path);
  const bytes = Buffer.byteLength(absolute);
  if (bytes <= SOCKET_PATH_MAX) return ok(absolute);
  return err(failure('invalid-option', `${name} must be a path of at most ${SOCKET_PATH_MAX} bytes, and ${absolute} has ${bytes}`));
}
