// From what `--policy` names to a compiled policy.

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { err, ok, Result } from 'neverthrow';
import type * as SmolToml from 'smol-toml';
import { enumeration } from '../config/value.js';
import { failure, type BridgeError } from '../errors.js';
import { compilePolicy, type PolicyTable } from './compile.js';
import { PRESETS } from './presets.js';
import { checkPolicy } from './rule.js';

/** Far more than any policy has. */
const FILE_CHARACTERS_MAX = 1 << 20;

/**
 * Finds and compiles a policy.
 * @param name a preset, the path of a file, or the name of a file in the folder `policies` of the configuration
 */
export function loadPolicy(name: string, env: NodeJS.ProcessEnv): Result<PolicyTable, BridgeError> {
  if (Object.hasOwn(PRESETS, name)) return compilePolicy({ base: name as keyof typeof PRESETS }).mapErr((problem) => failure('internal', problem));
  return readPolicy(name, env).andThen(({ file, text }) => parsePolicy(text).mapErr((problem) => failure('invalid-policy', `${file}: ${problem}`)));
}

/** Checks and compiles the text of a policy's file. An error is what is wrong, behind its place within the file. */
export function parsePolicy(text: string): Result<PolicyTable, string> {
  return parseToml(text).andThen(checkPolicy).andThen(compilePolicy);
}

function readPolicy(name: string, env: NodeJS.ProcessEnv): Result<{ file: string; text: string }, BridgeError> {
  const files = name.includes('/') || name.endsWith('.toml') ? [name] : policyFolders(env).map((folder) => join(folder, `${name}.toml`));
  for (const file of files) {
    const text = readText(file);
    if (text.isErr()) return err(failure('invalid-policy', `the policy ${file} can't be read (${text.error}): check its path and permissions`));
    if (text.value !== undefined) return ok({ file, text: text.value });
  }
  return err(failure('invalid-policy', `there is no policy ${name}: it is none of ${enumeration(Object.keys(PRESETS))}, and there is no ${enumeration(files)}`));
}

/** Where policies with a name are looked for, the strongest first. */
function policyFolders(env: NodeJS.ProcessEnv): string[] {
  const home = env['XDG_CONFIG_HOME'];
  const own = home !== undefined && isAbsolute(home) ? home : join(homedir(), '.config');
  return [join(own, 'x11bridge', 'policies'), '/etc/x11bridge/policies'];
}

/** undefined where there is no such file. */
function readText(file: string): Result<string | undefined, string> {
  try {
    const text = readFileSync(file, 'utf8');
    return text.length > FILE_CHARACTERS_MAX ? err('too long') : ok(text);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return code === 'ENOENT' ? ok(undefined) : err(code);
  }
}

function parseToml(text: string): Result<unknown, string> {
  return Result.fromThrowable(
    () => (require('smol-toml') as typeof SmolToml).parse(text) as unknown,
    (error) => {
      const { line, message } = error as SmolToml.TomlError;
      return `line ${line}: ${message.split('\n', 1)[0] ?? ''}`;
    },
  )();
}
