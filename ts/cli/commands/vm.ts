// `x11bridge vm`: a guest for the life of one program, with the host half of the bridge outside and the guest half inside.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ok, type Result } from 'neverthrow';
import { CONTEXTS_MAX, devShmSocket, hostConfig } from '../../config/host.js';
import { SCHEMA } from '../../config/schema.js';
import type { BridgeError } from '../../errors.js';
import { qemuArguments } from '../../host/qemu.js';
import { startHostHalf } from '../../host/start.js';
import { Guest, type GuestPlan } from '../../vm/guest.js';
import { makeTerminalRaw } from '../raw-terminal.js';
import { Reporter } from '../reporter.js';
import { exitCodeOfSignal, onSignals } from '../signals.js';
import { complainAbout } from '../terminal.js';
import type { VmInvocation } from '../vm-options.js';
import { needsHostHalf, planGuest, terminalSize, wishOf, type GuestDevices, type Wish } from '../vm-plan.js';
import { followHost } from './host.js';

/** How many clients the guest half takes unless told otherwise; it opens one more context to look at the device. */
const CLIENTS_MAX = 512;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Runs a program in a guest.
 * @param command the program and its arguments
 * @returns its exit code; 128 + n when signal n ended it or the guest
 */
export async function vm(command: readonly string[], invocation: VmInvocation): Promise<number> {
  const stop = new Stop();
  const wish = wishOf(command, invocation);
  if (wish.isErr()) return complainAbout(wish.error);
  const reporter = new Reporter(wish.value.settings.logLevel, undefined);
  const half = hostHalf(wish.value, reporter);
  if (half.isErr()) return complainAbout(half.error);
  const planned = await planGuest(wish.value, half.value, reporter);
  const code = planned.isErr() ? complainAbout(planned.error) : (stop.code ?? (await runGuest(planned.value, stop)));
  await half.value.close();
  return code;
}

/** The host half that the guest is to have. */
interface HostHalf extends GuestDevices {
  close(): Promise<void>;
}

function hostHalf(wish: Wish, reporter: Reporter): Result<HostHalf, BridgeError> {
  const nothing = (): Promise<void> => Promise.resolve();
  if (!needsHostHalf(wish)) return ok({ device: [], devShm: false, close: nothing });
  const { settings, options } = wish;
  if (options.hostSocket !== undefined) {
    // A host half that was started without a /dev/shm has no such socket.
    const devShm = devShmSocket(options.hostSocket);
    const shared = options.devShm > 0 && existsSync(devShm);
    return ok({ device: qemuArguments(options.hostSocket, shared ? devShm : undefined), devShm: shared, close: nothing });
  }
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-vm-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', clean);
  const contextsMax = Math.min((settings.clientsMax ?? CLIENTS_MAX) + 1, CONTEXTS_MAX);
  return hostConfig(settings, { socket: join(folder, 'gpu.sock'), contextsMax, devShm: options.devShm }, (name) => `--${SCHEMA[name === 'hostDisplay' ? name : 'clientsMax'].key}`)
    .andThen((config) => startHostHalf(config, process.env))
    .map((host) => {
      followHost(host, reporter);
      return { device: host.qemuArguments, devShm: options.devShm > 0, close: () => host.close() };
    });
}

async function runGuest(plan: GuestPlan, stop: Stop): Promise<number> {
  const guest = Guest.start(plan, process);
  stop.guards(guest);
  const { terminal } = plan.machine;
  void enter(guest, stop, terminal);
  const ended = await guest.ended;
  return ended.match(
    (code) => code,
    (error) => stop.code ?? complainAbout(error),
  );
}

/** Once the program runs, signals and keys are for it. */
async function enter(guest: Guest, stop: Stop, terminal: boolean): Promise<void> {
  await guest.started;
  stop.passOn = true;
  if (terminal) enterTerminal(guest);
}

function enterTerminal(guest: Guest): void {
  makeTerminalRaw();
  const resize = (): void => {
    const size = terminalSize();
    if (size !== undefined) guest.resize(size);
  };
  process.stdout.on('resize', resize);
  resize();
}

/** What signals do: the first goes to the program, once there is one; the next ends the guest. */
class Stop {
  /** The exit code when a signal has ended everything. */
  code: number | undefined;
  /** Whether there is a program yet that signals can be sent to. */
  passOn = false;
  #guest: Guest | undefined;
  #passedOn = false;

  constructor() {
    onSignals(SIGNALS, (signal) => this.#handle(signal));
  }

  guards(guest: Guest): void {
    this.#guest = guest;
    // Who reads the program's output has gone: outside, the program would end by this signal.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => this.#end('SIGPIPE'));
  }

  #handle(signal: NodeJS.Signals): void {
    if (this.#guest !== undefined && this.passOn && !this.#passedOn) {
      this.#passedOn = true;
      this.#guest.signal(signal);
    } else {
      this.#end(signal);
    }
  }

  #end(signal: NodeJS.Signals): void {
    this.code ??= exitCodeOfSignal(signal);
    this.#guest?.end();
  }
}
