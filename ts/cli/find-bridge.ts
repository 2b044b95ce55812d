// Which running bridge a command means.

import { err, ok, type Result } from 'neverthrow';
import { ControlClient, controlledDisplays } from '../control/client.js';
import { failure, type BridgeError } from '../errors.js';
import { readSources } from '../config/sources.js';
import { runtimeDirPath } from '../runtime-dir.js';
import type { Looking } from './looking-commands.js';

/** Connects to the bridge of the display that is named, else to that of `$DISPLAY`, else to the only one that runs. */
export async function findBridge({ display, runtimeDir }: Looking, env: NodeJS.ProcessEnv): Promise<Result<ControlClient, BridgeError>> {
  const given = readSources(runtimeDir === undefined ? {} : { runtimeDir }, env);
  if (given.isErr()) return err(given.error);
  const folder = runtimeDirPath(given.value.runtimeDir?.value as string | undefined, env);
  if (display !== undefined) return /^(:\d+|\/.+)$/.test(display) ? ControlClient.connect(folder, display) : err(failure('invalid-option', `the display must be one such as :1, or the absolute path of a guard's or a host's socket, not ${JSON.stringify(display)}`));
  const found = await connected(folder);
  const own = found.find((client) => client.display === env['DISPLAY']?.replace(/\.\d+$/, ''));
  const only = own ?? (found.length === 1 ? found[0] : undefined);
  for (const client of found) if (client !== only) client[Symbol.dispose]();
  return only === undefined ? err(noneOrMany(found.map((client) => client.display), folder)) : ok(only);
}

async function connected(folder: string): Promise<ControlClient[]> {
  const attempts = await Promise.all(controlledDisplays(folder).map((display) => ControlClient.connect(folder, display)));
  return attempts.flatMap((attempt) => (attempt.isOk() ? [attempt.value] : []));
}

function noneOrMany(displays: readonly string[], folder: string): BridgeError {
  if (displays.length === 0) return failure('not-running', `no bridge of yours runs with the runtime directory ${folder}: start one, name another directory with --runtime-dir, or the socket of a guard or a host by its path`);
  return failure('invalid-option', `there are bridges on displays ${displays.join(', ')}: name the one that is meant`);
}
