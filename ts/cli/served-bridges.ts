// The bridges of one command: as many as the configuration has tables for, each with its own display, channel, X server and policy.

import { err, ok, type Result } from 'neverthrow';
import type { ResolvedSettings } from '../config/options.js';
import { unknownVariables } from '../config/sources.js';
import { failure, type BridgeError } from '../errors.js';
import { settingsOfBridges, type Invocation } from './invocation.js';
import { Reporter } from './reporter.js';
import { ServedBridge, type Adjust, type Reread } from './served-bridge.js';
import { complain } from './terminal.js';

/** The bridges that run. */
export class ServedBridges {
  private constructor(readonly all: readonly ServedBridge[]) {}

  /**
   * Starts them all, or none.
   * @param writeJson takes each line of JSON; called only with `--json`
   * @param inherited descriptors of sockets that a service manager has passed
   */
  static async start(invocation: Invocation, writeJson: (line: string) => void, adjust: Adjust, inherited: readonly number[] | undefined): Promise<Result<ServedBridges, BridgeError>> {
    const read = settingsOfBridges(invocation, process.env).map((all) => all.map(adjust));
    if (read.isErr()) return err(read.error);
    const several = read.value.length > 1;
    if (several && inherited !== undefined) return err(failure('invalid-option', `a service manager has passed the sockets of one display, and the configuration has ${read.value.length} bridges: name a file for one with --config`));
    for (const variable of unknownVariables(process.env)) complain(`warn: ${variable} is no setting, and has no effect`);
    const opened = read.value.map((settings, at) => {
      const reporter = new Reporter(settings.logLevel, invocation.json ? writeJson : undefined, several);
      return ServedBridge.open({ ...settings, ...(inherited && { inherited }) }, reporter, rereadOf(invocation, adjust, at, read.value.length));
    });
    const started = opened.flatMap((one) => (one.isOk() ? [one.value] : []));
    const [failed] = opened.flatMap((one) => (one.isErr() ? [one.error] : []));
    if (failed === undefined) return ok(new ServedBridges(started));
    await closeAll(started);
    return err(failed);
  }

  /** Lets their owner look at them. */
  async openControl(): Promise<void> {
    await Promise.all(this.all.map((served) => served.openControl()));
  }

  /** Each reads its settings again. */
  reload(): void {
    for (const served of this.all) void served.reload();
  }

  /** Closes them all. */
  close(): Promise<void> {
    return closeAll(this.all);
  }
}

async function closeAll(all: readonly ServedBridge[]): Promise<void> {
  await Promise.all(all.map((served) => served.close()));
}

/** The settings of a bridge among those of the files: that of the same display or socket, else that of the same place. */
function rereadOf(invocation: Invocation, adjust: Adjust, place: number, running: number): Reread {
  return (holding) =>
    settingsOfBridges(invocation, process.env).andThen((all) => {
      const own = (settings: ResolvedSettings): boolean => (holding.display ?? holding.socket) !== undefined && settings.display === holding.display && settings.socket === holding.socket;
      const wanted = all.find(own) ?? all[place];
      if (wanted === undefined) return err(failure('invalid-config', `the configuration has ${all.length} bridges, and none in place of this one: end it, or put its table back`));
      return ok({ ...adjust(wanted), ...(holding.inherited && { inherited: holding.inherited }), hasMoreBridges: all.length > running });
    });
}
