// `x11bridge run`: a bridge for the life of one child.

import { spawn, type ChildProcess } from 'node:child_process';
import { fenceEnv } from '../../session/fence-env.js';
import type { Invocation } from '../invocation.js';
import { ServedBridge } from '../served-bridge.js';
import { exitCodeOfSignal, onSignals } from '../signals.js';
import { complain, complainAbout } from '../terminal.js';

/**
 * Runs a program with the bridge as its display.
 * @param command the program and its arguments
 * @returns the child's exit code; 128 + n when signal n ended it, 127 when it wasn't found, 126 when it can't be executed
 */
export async function run(command: readonly string[], invocation: Invocation): Promise<number> {
  let child: ChildProcess | undefined;
  forwardSignals((signal) => child?.kill(signal));
  return ServedBridge.start(invocation, (line) => process.stderr.write(`${line}\n`)).match(
    async (served) => {
      // Not awaited: a signal must find the child.
      void served.openControl();
      served.reporter.ready(served.bridge);
      // Its user's own word on where fences lie comes first.
      const env = { ...fenceEnv(served.bridge.channel, served.fences), ...process.env, ...served.bridge.env };
      const code = await runChild(command, env, (started) => {
        child = started;
      });
      await served.close();
      return code;
    },
    async (error) => complainAbout(error),
  );
}

/** Also keeps this process alive: it must not end before the child. */
function forwardSignals(send: (signal: NodeJS.Signals) => void): void {
  onSignals(['SIGTERM', 'SIGHUP'], send);
  // A terminal sends these to its whole foreground group, so to the child too: sent on, they would arrive twice.
  onSignals(['SIGINT', 'SIGQUIT'], process.stdin.isTTY ? () => undefined : send);
}

function runChild([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv, onStart: (child: ChildProcess) => void): Promise<number> {
  return new Promise((resolve) => {
    const refuse = (error: unknown): void => resolve(complainAboutSpawn(program, error));
    try {
      const child = spawn(program, args, { stdio: 'inherit', env });
      onStart(child);
      child.once('error', refuse);
      child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 0) : exitCodeOfSignal(signal)));
    } catch (error) {
      // Node reports some failures of spawn by throwing, others by the event.
      refuse(error);
    }
  });
}

function complainAboutSpawn(program: string, error: unknown): 126 | 127 {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (program === '' || code === 'ENOENT') {
    complain(`the command ${JSON.stringify(program)} was not found: check its name and PATH`);
    return 127;
  }
  complain(`the command ${JSON.stringify(program)} can't be executed (${code}): check its permissions and format`);
  return 126;
}
