// Child processes that always end: with their test, or after a time limit, and by their own pid.

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';

/** No program of a test takes nearly as long, even on a busy machine; one that does hangs. */
const LIMIT_MS = 120_000;

/** What a finished program left. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running program whose output is collected; it is killed when it goes out of an `await using` scope. */
export class Running implements AsyncDisposable {
  stdout = '';
  stderr = '';
  readonly child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #limit: NodeJS.Timeout;

  constructor(program: string, args: readonly string[], options: SpawnOptions & { limitMs?: number } = {}) {
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#limit = setTimeout(() => this.child.kill('SIGKILL'), options.limitMs ?? LIMIT_MS);
    this.#ended = this.#untilEnd();
    // A program that can't start shows when its end is awaited.
    this.#ended.catch(() => undefined);
  }

  /** The process id, for looking into /proc and for signals. */
  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the program has not started');
    return this.child.pid;
  }

  /** Waits for the end, and for everything that it has written. */
  async finished(): Promise<Finished> {
    await this.#ended;
    return { code: this.child.exitCode, signal: this.child.signalCode, stdout: this.stdout, stderr: this.stderr };
  }

  /** Waits until the output matches, and returns the match. */
  async untilOutput(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this[stream]);
      if (match) return match;
      const source = this.child[stream];
      if (source === null || source.readableEnded || source.destroyed) {
        throw new Error(`ended without ${String(pattern)} on ${stream}; stdout: ${this.stdout} stderr: ${this.stderr}`);
      }
      // The one that does not come must not stay and listen.
      const { signal, abort } = cancellation();
      await Promise.race([once(source, 'data', { signal }), once(source, 'close', { signal })]).finally(abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.#ended.catch(() => undefined);
  }

  async #untilEnd(): Promise<void> {
    try {
      await once(this.child, 'close');
    } finally {
      clearTimeout(this.#limit);
    }
  }
}

function cancellation(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

/** Runs a program to its end. */
export async function finish(program: string, args: readonly string[], options?: SpawnOptions & { limitMs?: number }): Promise<Finished> {
  await using running = new Running(program, args, options);
  return await running.finished();
}

/** Waits until the condition holds; rejects with its description when that takes too long, by default two minutes. */
export async function eventually(description: string, condition: () => boolean | Promise<boolean>, limitMs = LIMIT_MS): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never came true: ${description}`);
}
