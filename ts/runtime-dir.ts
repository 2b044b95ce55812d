// The directory that holds the private Xauthority file: whoever can read it can use the display, so it must be ours alone.

import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { failure, type BridgeError } from './errors.js';

/**
 * Finds or makes the runtime directory, of mode 0700 and owned by this user.
 * @param chosen an absolute path, or undefined for the default
 */
export function ensureRuntimeDir(chosen: string | undefined, env: NodeJS.ProcessEnv): Result<string, BridgeError> {
  const path = runtimeDirPath(chosen, env);
  return makeDirectory(path).andThen(() => checkPrivate(path));
}

/** Where the runtime directory is, or would be; nothing is made or checked. */
export function runtimeDirPath(chosen: string | undefined, env: NodeJS.ProcessEnv): string {
  return chosen ?? defaultRuntimeDir(env);
}

function defaultRuntimeDir(env: NodeJS.ProcessEnv): string {
  const session = env['XDG_RUNTIME_DIR'];
  // After `su`, the variable may still name another user's directory, or one that is gone.
  if (session?.startsWith('/') && isOwnDirectory(session)) return join(session, 'x11bridge');
  return join(tmpdir(), `x11bridge-${userId()}`);
}

function isOwnDirectory(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats !== undefined && stats.isDirectory() && stats.uid === userId();
}

function makeDirectory(path: string): Result<void, BridgeError> {
  try {
    mkdirSync(path, { mode: 0o700 });
    return ok();
  } catch (error) {
    const code = codeOf(error);
    return code === 'EEXIST' ? ok() : err(unusable(path, `can't be made (${code}): name another one`));
  }
}

function checkPrivate(path: string): Result<string, BridgeError> {
  const problem = privacyProblem(lstatSync(path));
  return problem === undefined ? ok(path) : err(unusable(path, problem));
}

/** A link could be turned elsewhere, and a foreign or open directory lets others read the cookie. */
function privacyProblem(stats: Stats): string | undefined {
  if (stats.isSymbolicLink()) return 'is a symbolic link: name the directory itself';
  if (!stats.isDirectory()) return "isn't a directory: name another one";
  if (stats.uid !== userId()) return `belongs to user ${stats.uid}: name another one`;
  if ((stats.mode & 0o077) !== 0) return `is open to other users (mode ${(stats.mode & 0o777).toString(8)}): name one of mode 700, or one that doesn't exist yet`;
  return undefined;
}

function unusable(path: string, problem: string): BridgeError {
  return failure('runtime-dir', `the runtime directory ${path} ${problem}`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function userId(): number {
  return process.getuid?.() ?? 0;
}
