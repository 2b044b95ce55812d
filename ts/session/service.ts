// The service manager's side of a bridge that runs as a service: sockets that it passes, and what it wants to be told
// (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)).

import { notifyService } from '../native/index.js';

/** The first descriptor that is passed. */
const FIRST = 3;
/** A display has two sockets; whoever passes more means somebody else. */
const PASSED_MAX = 8;

/**
 * Takes the descriptors that were passed to this process, once: programs started from here must not take them for theirs.
 * @returns their numbers, or undefined when none were
 */
export function takeInherited(env: NodeJS.ProcessEnv, pid: number): readonly number[] | undefined {
  const [count, meant] = [Number(env['LISTEN_FDS']), Number(env['LISTEN_PID'])];
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) delete env[name];
  if (meant !== pid || !Number.isInteger(count) || count < 1 || count > PASSED_MAX) return undefined;
  return Array.from({ length: count }, (_, at) => FIRST + at);
}

/** Tells a service manager how the bridge is, where there is one. */
export class ServiceManager {
  readonly #socket: string | undefined;
  readonly #watchdogMs: number;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(env: NodeJS.ProcessEnv, pid: number) {
    this.#socket = env['NOTIFY_SOCKET'] || undefined;
    const meant = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === pid;
    const micros = meant ? Number(env['WATCHDOG_USEC']) : 0;
    this.#watchdogMs = micros > 0 ? micros / 1000 : 0;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC']) delete env[name];
  }

  /** Clients can connect. From now on the watchdog, if it is wanted, hears twice in its time that the process does its work. */
  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status}`);
    if (this.#socket === undefined || this.#watchdogMs <= 0) return;
    this.#watchdog = setInterval(() => this.#tell('WATCHDOG=1'), this.#watchdogMs / 2).unref();
  }

  stopping(): void {
    clearInterval(this.#watchdog);
    this.#tell('STOPPING=1');
  }

  #tell(...assignments: readonly string[]): void {
    if (this.#socket !== undefined) notifyService(this.#socket, assignments);
  }
}
