// The scripted client of crates/testkit: it does one odd thing to a display, and says what it saw.

import { spawnSync } from 'node:child_process';
import { ROOT } from '../../support/command.js';
import { finish, Running } from '../../support/processes.js';
import type { Side, Stage } from './stage.js';

/** What a script saw, or `{ error }`. */
export type Sight = Record<string, unknown>;

/** The scripted clients: one that does odd things, one that passes descriptors. */
export type Client = 'x11-attack' | 'x11-descriptors' | 'x11-bench';

const programs = new Map<Client, string>();

/** Runs a script to its end; what it holds open it closes at once, since its standard input is empty. */
export function attack(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Sight> {
  return attackWithin(60_000, env, ...args);
}

/** Runs a script that must have ended by then. */
export async function attackWithin(limitMs: number, env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Sight> {
  return script('x11-attack', limitMs, env, args);
}

async function script(client: Client, limitMs: number, env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Sight> {
  const { stdout, stderr } = await finish(clientProgram(client), args, { env, limitMs });
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`${client} ${args.join(' ')} said: ${stdout}${stderr}`);
  return JSON.parse(last) as Sight;
}

/** Runs a script of x11-descriptors on one side. */
export function descriptors(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Sight> {
  return script('x11-descriptors', 120_000, env, args);
}

/** Runs a script on both sides. */
export async function attackBoth(stage: Stage, ...args: readonly string[]): Promise<Record<Side, Sight>> {
  const [direct, bridged] = await Promise.all([attack(stage.env('direct'), ...args), attack(stage.env('bridged'), ...args)]);
  return { direct, bridged };
}

/** Starts a script that holds something open, and waits until it does. Only `release` lets it go on. */
export async function startAttack(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<HeldAttack> {
  const running = new Running(clientProgram('x11-attack'), args, { env, stdio: ['pipe', 'pipe', 'pipe'], limitMs: 120_000 });
  const [line] = await running.untilOutput(/^\{.*\}$/m);
  return new HeldAttack(running, JSON.parse(line) as Sight);
}

/** A script that holds something open. */
export class HeldAttack implements AsyncDisposable {
  constructor(
    readonly running: Running,
    /** What it said when it had opened everything. */
    readonly held: Sight,
  ) {}

  /** Lets it go on, and returns what it says at its end. */
  async release(): Promise<Sight> {
    this.running.child.stdin?.end();
    return this.ended();
  }

  /** Waits for its end without letting it go on. */
  async ended(): Promise<Sight> {
    const { stdout } = await this.running.finished();
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Sight;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.running[Symbol.asyncDispose]();
  }
}

/** Built when the first test asks for it; cargo finds out itself whether that is needed. */
export function clientProgram(client: Client): string {
  const program = programs.get(client) ?? build(client);
  programs.set(client, program);
  return program;
}

function build(client: Client): string {
  const args = ['build', '--release', '--package', 'x11bridge-testkit', '--bin', client, '--message-format=json-render-diagnostics'];
  const { status, stdout } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
  const artifact = stdout.split('\n').find((line) => line.includes(`"name":"${client}"`) && line.includes('"executable":"'));
  if (status !== 0 || artifact === undefined) throw new Error(`cargo could not build ${client}; what it says is above`);
  return (JSON.parse(artifact) as { executable: string }).executable;
}
