// Work that can be interrupted without leaving half of anything: it runs in a process group of its own, which ends with all that it has
// started.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { removePartials } from './cache.mjs';
import { ROOT, runScript, StepError } from './setup.mjs';

/** Ctrl-C, a closed terminal, a job that is cancelled. */
const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
/** What of the group has not ended by then is killed. */
const END_LIMIT_MS = 10_000;

/** The work was stopped by a signal, which the exit code tells as shells do. */
class Interrupted extends StepError {
  /** @param {NodeJS.Signals} signal @param {string} sentence */
  constructor(signal, sentence) {
    super(sentence);
    this.exitCode = 128 + constants.signals[signal];
  }
}

/**
 * Runs a script, which calls `reportingScript`, to its end.
 * @param {readonly [script: string, ...args: string[]]} command the script's path, and its arguments
 * @param {string} afterwards what holds when it was interrupted, for people
 * @throws {StepError} what the script threw, or that it was interrupted
 */
export async function runInterruptible(command, afterwards) {
  const child = spawn(process.execPath, command, { cwd: ROOT, detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const { pid } = child;
  if (pid === undefined) throw new StepError(`${process.execPath} could not be started.`);
  /** @type {{ sentence?: string, signal?: NodeJS.Signals }} */
  const heard = {};
  child.on('message', (message) => (heard.sentence = String(message)));
  /** @param {NodeJS.Signals} signal */
  const stop = (signal) => {
    heard.signal ??= signal;
    signalGroup(pid, 'SIGTERM');
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    const [code] = await once(child, 'close');
    if (code !== 0) await endGroup(pid);
    if (code !== 0) removePartials(pid);
    if (heard.signal !== undefined) throw new Interrupted(heard.signal, `Interrupted: ${afterwards}.`);
    if (code !== 0) throw new StepError(heard.sentence ?? `${command.join(' ')} ended without saying why.`);
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}

/**
 * Runs the main function of such a script. What it throws is told to who has started it.
 * @param {() => Promise<void>} main
 */
export async function reportingScript(main) {
  await runScript(() => main().then(() => 0, report));
  // The channel would keep the process alive.
  if (process.connected) process.disconnect();
}

/** @param {unknown} error @returns {number} the exit code */
function report(error) {
  if (!(error instanceof StepError) || process.send === undefined) throw error;
  process.send(error.message);
  return error.exitCode;
}

/** Waits until nothing of a group is left. @param {number} group */
async function endGroup(group) {
  const deadline = performance.now() + END_LIMIT_MS;
  while (signalGroup(group, 0) && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  signalGroup(group, 'SIGKILL');
}

/**
 * @param {number} group
 * @param {NodeJS.Signals | 0} signal
 * @returns {boolean} whether there is such a group
 */
function signalGroup(group, signal) {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}
