// A guest in which many programs run, one after the other or at once: booting takes longer than most tests.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vmCacheFolder } from '../../../dist/vm/cache.js';
import { startX11bridge } from '../../support/command.js';
import type { Finished, Running } from '../../support/processes.js';
import { TemporaryFolder } from '../../support/temporary.js';

/** A guest boots in some seconds; on a busy machine without KVM in many more. Its tests have limits of their own. */
const GUEST_LIMIT_MS = 7_200_000;
/** The tests' programs have another HOME than who ran the set-up. */
export const CACHE = { XDG_CACHE_HOME: join(vmCacheFolder(process.env), '../..') };

export interface GuestOptions {
  /** Options of `x11bridge vm`. */
  readonly args?: readonly string[];
  /** The environment outside, which the guest's programs have too. */
  readonly env: NodeJS.ProcessEnv;
}

/** A program that runs in the guest; like `Running`, for what lies on the other side of a shell. */
export class GuestProgram implements AsyncDisposable {
  constructor(
    private readonly guest: TestGuest,
    /** Of the guest. */
    readonly pid: number,
    readonly files: { readonly stdout: string; readonly stderr: string },
  ) {}

  get stdout(): string {
    return readFileSync(this.files.stdout, 'utf8');
  }

  get stderr(): string {
    return readFileSync(this.files.stderr, 'utf8');
  }

  async isRunning(): Promise<boolean> {
    // A program that has ended is a zombie of the shell's until that waits for it.
    const { stdout } = await this.guest.run(`cut -d ' ' -f 3 /proc/${this.pid}/stat 2>/dev/null`);
    return !['', 'Z'].includes(stdout.trim());
  }

  async signal(name: string): Promise<void> {
    await this.guest.run(`kill -${name} ${this.pid}`);
  }

  /** Waits for the end. */
  async finished(): Promise<Finished> {
    const { code } = await this.guest.script(`wait ${this.pid}`);
    return { code, signal: null, stdout: this.stdout, stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest.script(`kill -KILL ${this.pid} 2>/dev/null; wait ${this.pid}`);
  }
}

/** A shell in a guest, driven from outside. */
export class TestGuest implements AsyncDisposable {
  readonly #command: Running;
  readonly #folder: TemporaryFolder;
  #steps = 0;

  private constructor(command: Running, folder: TemporaryFolder) {
    this.#command = command;
    this.#folder = folder;
  }

  /** Boots one. */
  static async boot({ args = [], env }: GuestOptions): Promise<TestGuest> {
    const folder = new TemporaryFolder();
    const command = startX11bridge(['vm', '--share', `${folder.path}:rw`, ...args, '--', 'sh'], { env: { ...env, ...CACHE }, stdio: ['pipe', 'pipe', 'pipe'], limitMs: GUEST_LIMIT_MS });
    const guest = new TestGuest(command, folder);
    try {
      await guest.script('');
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The process outside. */
  get command(): Running {
    return this.#command;
  }

  /** A path in a folder that guest and host share. */
  file(name: string): string {
    return this.#folder.file(name);
  }

  /** Runs lines in the guest's shell itself, and waits for their end. */
  async script(lines: string): Promise<{ readonly code: number }> {
    const step = ++this.#steps;
    this.#command.child.stdin?.write(`${lines}\necho "step ${step} $?"\n`);
    const [, code] = await this.#command.untilOutput(new RegExp(`^step ${step} (\\d+)$`, 'm'));
    return { code: Number(code) };
  }

  /** Runs a line of shell to its end. */
  async run(line: string): Promise<Finished> {
    const { stdout, stderr } = this.#newFiles();
    const { code } = await this.script(`(${line}\n) < /dev/null > '${stdout}' 2> '${stderr}'`);
    return { code, signal: null, stdout: readFileSync(stdout, 'utf8'), stderr: readFileSync(stderr, 'utf8') };
  }

  /** Starts a program. */
  async start(program: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}, input = ''): Promise<GuestProgram> {
    const files = this.#newFiles();
    const stdin = this.#newFile('stdin');
    writeFileSync(stdin, input);
    const words = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value ?? ''}`), program, ...args].map(quoted).join(' ');
    const started = this.#newFile('pid');
    await this.script(`${words} < '${stdin}' > '${files.stdout}' 2> '${files.stderr}' & echo $! > '${started}'`);
    return new GuestProgram(this, Number(readFileSync(started, 'utf8')), files);
  }

  /** Ends it as a user does who closes the shell. */
  async shutDown(): Promise<Finished> {
    this.#command.child.stdin?.end('exit 0\n');
    return this.#command.finished();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#command[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }

  #newFiles(): { stdout: string; stderr: string } {
    return { stdout: this.#newFile('stdout'), stderr: this.#newFile('stderr') };
  }

  #newFile(kind: string): string {
    const path = this.#folder.file(`${kind}-${++this.#steps}`);
    writeFileSync(path, '');
    return path;
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
