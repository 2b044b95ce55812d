// A guest that runs one program: QEMU with its streams, from its start to the program's exit code.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { err, ok, type Result } from 'neverthrow';
import { failure, type BridgeError } from '../errors.js';
import { UntilEndMark } from './end-mark.js';
import type { TerminalSize } from './guest-files.js';
import { DESCRIPTORS, machineArguments, type MachineSpec } from './machine.js';
import type { GuestParts } from './parts.js';

/** What the program's streams are connected with outside. */
export interface GuestStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** A guest to start. */
export interface GuestPlan {
  readonly parts: GuestParts;
  readonly machine: Omit<MachineSpec, 'arch' | 'kernel' | 'initrd' | 'root'>;
  /** The archive that guest-files.ts makes. */
  readonly files: Uint8Array;
  readonly endMark: string;
  /** Where the guest's remarks go: one sentence each. */
  readonly log: (level: 'info', message: string) => void;
}

/** So much of the kernel's messages, and of QEMU's, is kept for the case that something fails. */
const KEPT_CHARACTERS = 4096;

export class Guest {
  /** Resolves when the program in the guest has been started; never rejects. */
  readonly started: Promise<void>;
  /** The program's exit code, when all of its output has been passed on, or why there is none. */
  readonly ended: Promise<Result<number, BridgeError>>;

  readonly #qemu: ChildProcess;
  readonly #folder: string;
  #messages = '';
  #markStarted: () => void = () => undefined;

  private constructor(plan: GuestPlan, streams: GuestStreams) {
    this.#folder = mkdtempSync(join(tmpdir(), 'x11bridge-vm-'));
    this.#qemu = startQemu(plan, this.#folder);
    this.started = new Promise((resolve) => {
      this.#markStarted = resolve;
    });
    process.on('exit', this.#clean);
    this.#keepMessages();
    this.ended = this.#run(plan, streams).finally(() => {
      this.#clean();
      process.off('exit', this.#clean);
    });
  }

  /** Starts a guest. */
  static start(plan: GuestPlan, streams: GuestStreams): Guest {
    return new Guest(plan, streams);
  }

  /** Sends a signal to the program. */
  signal(name: NodeJS.Signals): void {
    this.#tell(`signal ${name.replace('SIG', '')}`);
  }

  /** Tells the guest's terminal its size. */
  resize({ rows, columns }: TerminalSize): void {
    this.#tell(`size ${rows} ${columns}`);
  }

  /** Ends the guest at once. */
  end(): void {
    this.#qemu.kill('SIGKILL');
  }

  async #run({ machine, endMark, log }: GuestPlan, { stdin, stdout, stderr }: GuestStreams): Promise<Result<number, BridgeError>> {
    const [input, output] = machine.terminal ? (['terminal', 'terminal'] as const) : (['stdin', 'stdout'] as const);
    stdin.pipe(this.#stream(input));
    const outputs = [this.#passOn(output, endMark, stdout), this.#passOn('stderr', endMark, stderr)];
    const qemuEnded = this.#untilQemuEnds();
    const code = await Promise.race([this.#exitCode(log), qemuEnded]);
    if (code.isOk()) await Promise.race([Promise.all(outputs), qemuEnded]);
    this.end();
    await qemuEnded;
    stdin.unpipe();
    return code;
  }

  /** Reads the guest's lines until the program's exit code is among them. */
  async #exitCode(log: GuestPlan['log']): Promise<Result<number, BridgeError>> {
    for await (const line of createInterface({ input: this.#stream('control') })) {
      const [word = '', ...rest] = line.split(' ');
      if (word === 'started') this.#onStarted();
      if (word === 'info') log(word, rest.join(' '));
      if (word === 'exit') return ok(Number(rest[0]));
      if (word === 'failed') return err(failure('vm-failed', `the guest could not be set up: ${rest.join(' ')}`));
    }
    return this.#untilQemuEnds();
  }

  #onStarted(): void {
    // The guest has read its initial file system long ago.
    rmSync(this.#folder, { recursive: true, force: true });
    this.#markStarted();
  }

  async #untilQemuEnds(): Promise<Result<never, BridgeError>> {
    const error = await qemuEnd(this.#qemu);
    const last = this.#messages.trim().split('\n').slice(-3).join(' | ') || 'it said nothing';
    return err(failure('vm-failed', error === undefined ? `the guest ended without an exit code: ${last}` : `QEMU could not be started: ${error.message}`));
  }

  /** Resolves when all that the program wrote has been written outside. */
  async #passOn(name: keyof typeof DESCRIPTORS, endMark: string, target: Writable): Promise<void> {
    const output = this.#stream(name).pipe(new UntilEndMark(endMark));
    output.pipe(target, { end: false });
    await finished(output, { writable: false });
    if (target.writableNeedDrain) await Promise.race([once(target, 'drain'), once(target, 'close')]);
  }

  #tell(line: string): void {
    this.#stream('control').write(`${line}\n`);
  }

  #keepMessages(): void {
    for (const source of [this.#stream('console'), this.#qemu.stderr]) {
      source?.setEncoding('utf8').on('data', (text: string) => {
        this.#messages = (this.#messages + text).slice(-KEPT_CHARACTERS);
      });
    }
    for (const stream of this.#qemu.stdio) stream?.on('error', () => undefined);
  }

  #stream(name: keyof typeof DESCRIPTORS): Socket {
    return (this.#qemu.stdio as readonly unknown[])[DESCRIPTORS[name]] as Socket;
  }

  readonly #clean = (): void => {
    this.#qemu.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  };
}

function startQemu({ parts, machine, files }: GuestPlan, folder: string): ChildProcess {
  const initrd = join(folder, 'initrd');
  writeFileSync(initrd, Buffer.concat([readFileSync(parts.tools), ...(parts.modules === undefined ? [] : [readFileSync(parts.modules)]), files]), { mode: 0o600 });
  const args = machineArguments({ ...machine, arch: parts.arch, kernel: parts.kernel, root: parts.root, initrd });
  const streams = Object.values(DESCRIPTORS).map(() => 'pipe' as const);
  // In a session of its own: what a terminal sends to its foreground group is for the program in the guest.
  return spawn(parts.qemu, args, { stdio: ['ignore', 'ignore', 'pipe', ...streams], detached: true });
}

/** Waits for the end of QEMU, which may have come already; gives the reason when it never began. */
async function qemuEnd(qemu: ChildProcess): Promise<Error | undefined> {
  if (qemu.exitCode !== null || qemu.signalCode !== null) return undefined;
  try {
    await once(qemu, 'exit');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
