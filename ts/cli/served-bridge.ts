// The bridge that a command works with: started from the settings of all sources, reported on, and reloaded.

import type { Result } from 'neverthrow';
import { changesBetween, reloaded, type Changes } from '../config/changes.js';
import type { ResolvedSettings } from '../config/options.js';
import { unknownVariables } from '../config/sources.js';
import type { BridgeError } from '../errors.js';
import type { NativeBridge } from '../session/bridge.js';
import { startSession } from '../session/start.js';
import { settingsOf, type Invocation } from './invocation.js';
import { Reporter } from './reporter.js';

export class ServedBridge {
  private constructor(
    readonly bridge: NativeBridge,
    readonly reporter: Reporter,
    readonly invocation: Invocation,
    private settings: ResolvedSettings,
  ) {}

  /**
   * Starts a bridge.
   * @param writeJson takes each line of JSON; called only with `--json`
   */
  static start(invocation: Invocation, writeJson: (line: string) => void): Result<ServedBridge, BridgeError> {
    return settingsOf(invocation, process.env).andThen((settings) => {
      const reporter = new Reporter(settings.logLevel, invocation.json ? writeJson : undefined);
      for (const variable of unknownVariables(process.env)) reporter.log('warn', `${variable} is no setting, and has no effect`);
      return startSession(settings, process.env).map((bridge) => {
        reporter.follow(bridge);
        return new ServedBridge(bridge, reporter, invocation, settings);
      });
    });
  }

  /** Reads the files again and applies what can change now. A fault in them changes nothing. */
  reload(): Result<Changes, BridgeError> {
    const result = settingsOf(this.invocation, process.env).andThen((wanted) =>
      this.bridge.apply(wanted).map(() => {
        const changes = changesBetween(this.settings, wanted);
        this.settings = reloaded(this.settings, wanted);
        this.reporter.level = wanted.logLevel;
        return changes;
      }),
    );
    result.match(
      (changes) => this.reporter.reloaded(changes),
      (error) => this.reporter.reloadFailed(error),
    );
    return result;
  }
}
