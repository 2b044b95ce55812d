// From the options of a host half to a checked configuration.

import { resolve } from 'node:path';
import { err, ok, safeTry, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import type { DevShm, HostConfig } from './host-options.js';
import type { Settings } from './options.js';
import { noServer, resolveOptions } from './resolve.js';
import { checkValue, numberFrom, textual, type ValueType } from './value.js';

/** The addon's own limit. */
export const CONTEXTS_MAX = 65_536;
/** What the kernel takes as the path of a socket, in bytes. */
const SOCKET_PATH_MAX = 107;
/** In MiB: a TiB. */
const DEV_SHM_MAX = 1_048_576;
/** In MiB, where nothing is said. It is memory only as far as the guest fills it. */
const DEV_SHM_USUAL = 1024;

/** The options that a bridge has not. */
export type OwnOptionName = 'socket' | 'contextsMax' | 'devShm';

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
  devShm: {
    key: 'dev-shm',
    argument: 'MIB',
    help: `how much the guest may keep in the /dev/shm that it shares with the host, at PATH.shm; 0 for none (default: ${DEV_SHM_USUAL})`,
    type: numberFrom(0, DEV_SHM_MAX, { integer: true }),
  },
};

/** Checks the options of the API and fills in what comes from the environment. */
export function resolveHostOptions({ socket, contextsMax, devShm, ...shared }: Readonly<Record<string, unknown>>, env: NodeJS.ProcessEnv): Result<HostConfig, BridgeError> {
  const foreign = Object.keys(shared).find((name) => !['hostDisplay', 'hostXauthority', 'hostTimeout', 'policy'].includes(name));
  if (foreign !== undefined) return err(failure('invalid-option', `there is no option named ${foreign}`));
  return resolveOptions(shared, env).andThen((config) => hostConfig(config, { socket, contextsMax, devShm }, (name) => name));
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
    const mib = (yield* read<number>('devShm')) ?? DEV_SHM_USUAL;
    const socket = yield* socketPath(path, mib > 0, nameOf('socket'));
    const devShm: DevShm | undefined = mib > 0 ? { socket: devShmSocket(socket), mib } : undefined;
    return ok({ socket, hostDisplay, hostXauthority, hostTimeout, policy, contextsMax: yield* read<number>('contextsMax'), devShm });
  });
}

/** Where the guest's /dev/shm listens, beside the socket of a host half. */
export function devShmSocket(socket: string): string {
  return `${socket}.shm`;
}

/** Absolute, since QEMU may run elsewhere. */
function socketPath(path: string, hasSecond: boolean, name: string): Result<string, BridgeError> {
  const absolute = resolve(path);
  const bytes = Buffer.byteLength(absolute);
  const max = SOCKET_PATH_MAX - (hasSecond ? Buffer.byteLength(devShmSocket('')) : 0);
  if (bytes <= max) return ok(absolute);
  return err(failure('invalid-option', `${name} must be a path of at most ${max} bytes, and ${absolute} has ${bytes}`));
}
