// The command as a user calls it: the built file, in a process of its own.

import assert from 'node:assert/strict';
import type { StdioOptions } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { finish, Running, type Finished } from './processes.js';

/** The repository's top folder. */
export const ROOT = join(__dirname, '../..');
/** The command's file, to be run by Node: the one that was built here, or an installed one that is to be held to the same. */
export const COMMAND = process.env['TESTED_COMMAND'] ?? join(ROOT, 'dist/cli/main.js');

export interface CommandOptions {
  /** Over this process's environment, from which displays and settings are taken away; undefined removes a variable. */
  readonly env?: NodeJS.ProcessEnv;
  readonly limitMs?: number;
  readonly cwd?: string;
  readonly stdio?: StdioOptions;
}

/** Runs `x11bridge ARGS` to its end. */
export function x11bridge(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return finish(process.execPath, [COMMAND, ...args], spawnOptions(options));
}

/** Starts `x11bridge ARGS`. */
export function startX11bridge(args: readonly string[], options: CommandOptions = {}): Running {
  return new Running(process.execPath, [COMMAND, ...args], spawnOptions(options));
}

/** What `serve --json` says when it is ready. */
export interface Ready {
  readonly event: 'ready';
  readonly display: string;
  readonly channel: string;
  readonly xauthority: string;
}

/** Starts `x11bridge serve --json ARGS` and waits until clients can connect. */
export async function startServe(args: readonly string[], options: CommandOptions = {}): Promise<{ command: Running; ready: Ready }> {
  const command = startX11bridge(['serve', '--json', ...args], { limitMs: 120_000, ...options });
  const [line] = await command.untilOutput(/^\{.*\}$/m);
  return { command, ready: JSON.parse(line) as Ready };
}

/** The JSON lines of a stream, parsed. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The files that a bridge on this display would own. */
export function displayFiles(display: string): { socket: string; lock: string } {
  const number = display.replace(':', '');
  return { socket: `/tmp/.X11-unix/X${number}`, lock: `/tmp/.X${number}-lock` };
}

/** Whether anything lies at a path, a socket or a dangling link as well. */
export function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function spawnOptions({ env, ...rest }: CommandOptions) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DISPLAY|XAUTHORITY|X11BRIDGE_.*)$/.test(name));
  // No settings of the person who runs the tests.
  return { ...rest, env: { ...Object.fromEntries(inherited), X11BRIDGE_CONFIG: '/dev/null', ...env } };
}

/** Asserts that stderr is one sentence from the command, and no stack trace. */
export function assertOneSentence(stderr: string): void {
  assert.match(stderr, /^x11bridge: [^\n]+\n$/);
  assert.doesNotMatch(stderr, /\bat .*[.:]\d+|(?<![.\w])node:|Error:/);
}
