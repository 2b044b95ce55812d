// The command as a user calls it: the built file, in a process of its own.

import assert from 'node:assert/strict';
import type { StdioOptions } from 'node:child_process';
import { randomInt } from 'node:crypto';
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

/**
 * A display that nobody has, such as `:23456`: far from the numbers that `auto`, X servers and people take, and other than that of whoever
 * asks at the same time.
 */
export function unusedDisplay(): string {
  for (;;) {
    const display = `:${randomInt(20_000, 59_000)}`;
    if (!Object.values(displayFiles(display)).some(exists)) return display;
  }
}

/** The files that a bridge on this display would own. */
export function displayFiles(display: string): { socket: string; lock: string } {
  const number = display.replace(':', '');
  return { socket: `/tmp/.X11-unix/X${number}`, lock: `/tmp/.X${number}-lock` };
}

/**
 * Files as they are now. When a bridge is gone, another that runs beside the tests may take its number at once, and make files of the same
 * names: those are not the ones that were left.
 */
export class Belongings {
  readonly #files: ReadonlyMap<string, string | undefined>;

  constructor(paths: readonly string[]) {
    this.#files = new Map(paths.map((path) => [path, identity(path)]));
    const missing = paths.filter((path) => !exists(path));
    if (missing.length > 0) throw new Error(`not there: ${missing.join(' ')}`);
  }

  /** Those that are still there. */
  left(): string[] {
    return [...this.#files].filter(([path, known]) => identity(path) === known).map(([path]) => path);
  }
}

/** Inodes are used again at once, but not with the same time of birth. */
function identity(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found && `${found.dev} ${found.ino} ${found.birthtimeNs}`;
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
