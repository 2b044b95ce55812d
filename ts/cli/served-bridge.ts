// The bridge that a command works with: started from the settings of all sources, reported on, and reloaded.

import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ResultAsync, type Result } from 'neverthrow';
import { changesBetween, reloaded, type Changes } from '../config/changes.js';
import type { ResolvedSettings } from '../config/options.js';
import { SCHEMA } from '../config/schema.js';
import { unknownVariables } from '../config/sources.js';
import { controlPath } from '../control/client.js';
import { MetricsServer } from '../control/metrics-server.js';
import type { BridgeStatus } from '../control/protocol.js';
import { ControlServer, type Controlled } from '../control/server.js';
import { BridgeTrace } from '../control/trace-feed.js';
import type { BridgeError } from '../errors.js';
import type { NativeBridge } from '../session/bridge.js';
import { policyOf, startSession } from '../session/start.js';
import { settingsOf, type Invocation } from './invocation.js';
import { Reporter } from './reporter.js';
import { onSignals } from './signals.js';
import { packageVersion } from './version.js';

/** What a command makes of the settings of all sources. */
export type Adjust = (settings: ResolvedSettings) => ResolvedSettings;

/** Reads the settings of all sources again; `holding` are those that the bridge has. */
export type Reread = (holding: ResolvedSettings) => Result<ResolvedSettings & Beside, BridgeError>;

/** What else the sources say. */
export interface Beside {
  /** Whether there are bridges in them that do not run. */
  readonly hasMoreBridges?: boolean;
}

export class ServedBridge {
  private readonly startedAt = performance.now();
  private control: ControlServer | undefined;
  private metrics: MetricsServer | undefined;
  private reloads: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly bridge: NativeBridge,
    readonly reporter: Reporter,
    private settings: ResolvedSettings,
    private readonly reread: Reread,
    /** What it is asked about by. */
    private readonly name = bridge.display,
  ) {
    // With no handler Node would open its debugger to whoever sends it.
    onSignals(['SIGUSR1'], () => void this.dump());
  }

  /**
   * Starts a bridge.
   * @param writeJson takes each line of JSON; called only with `--json`
   */
  static start(invocation: Invocation, writeJson: (line: string) => void): Result<ServedBridge, BridgeError> {
    const reread: Reread = () => settingsOf(invocation, process.env);
    return settingsOf(invocation, process.env).andThen((settings) => {
      const reporter = new Reporter(settings.logLevel, invocation.json ? writeJson : undefined);
      for (const variable of unknownVariables(process.env)) reporter.log('warn', `${variable} is no setting, and has no effect`);
      return ServedBridge.open(settings, reporter, reread);
    });
  }

  /** Starts a bridge with settings that were read already. */
  static open(settings: ResolvedSettings, reporter: Reporter, reread: Reread): Result<ServedBridge, BridgeError> {
    return startSession(settings, process.env).map((bridge) => {
      reporter.follow(bridge);
      return new ServedBridge(bridge, reporter, settings, reread);
    });
  }

  /** Takes charge of the guard of a host half, which is asked about by the path of that one's socket. */
  static guarding(bridge: NativeBridge, socket: string, settings: ResolvedSettings, reporter: Reporter, reread: Reread): ServedBridge {
    return new ServedBridge(bridge, reporter, settings, reread, socket);
  }

  /** How fences are to cross kernels. */
  get fences(): ResolvedSettings['fences'] {
    return this.settings.fences;
  }

  /** What there is to see of it now. */
  async status(): Promise<BridgeStatus> {
    const { channel, channelReason } = this.bridge;
    const hostDisplay = this.settings.hostDisplay;
    // First, as it makes busy clients tell what the sums are made of.
    const clients = await this.bridge.clients();
    return {
      version: packageVersion(),
      pid: process.pid,
      ageMs: Math.round(performance.now() - this.startedAt),
      display: this.name,
      ...(hostDisplay !== undefined && { hostDisplay }),
      channel,
      channelReason,
      stats: this.bridge.stats(),
      clients,
    };
  }

  /** Closes the bridge, and lets go of all that looks at it. */
  async close(): Promise<void> {
    this.closeControl();
    await this.bridge.close();
  }

  /** Lets go of all that looks at the bridge, which somebody else closes. */
  closeControl(): void {
    this.control?.close();
    this.metrics?.close();
  }

  /** Lets its owner look at it; without that it serves all the same. */
  async openControl(): Promise<void> {
    const controlled: Controlled = {
      status: () => this.status(),
      reload: () => this.reload(),
      closeClient: (client) => this.bridge.closeClient(client),
      trace: (client, extensions) => BridgeTrace.begin(this.bridge, client, extensions),
    };
    (await ControlServer.listen(this.controlPath(), controlled)).match(
      (control) => (this.control = control),
      (error) => this.reporter.log('warn', error.message),
    );
    await this.openMetrics();
  }

  /** Offers the figures where the settings say; where that can't be, the bridge goes on without. */
  private async openMetrics(): Promise<void> {
    this.metrics?.close();
    this.metrics = undefined;
    if (this.settings.metrics === undefined) return;
    // Beside the control socket, and called as that.
    const path = this.controlPath().replace(/control(?=[^/]*$)/, 'metrics');
    (await MetricsServer.listen(this.settings.metrics, path, () => this.status())).match(
      (metrics) => {
        this.metrics = metrics;
        this.reporter.log('info', `figures for Prometheus: ${metrics.where}`);
      },
      (error) => this.reporter.log('warn', error.message),
    );
  }

  private controlPath(): string {
    return controlPath(dirname(this.bridge.xauthority ?? ''), this.name);
  }

  /** Writes what there is to see into the log. */
  async dump(): Promise<void> {
    this.reporter.dump(await this.status());
  }

  /** Reads the files again and applies what can change now. A fault in them changes nothing. */
  reload(): ResultAsync<Changes, BridgeError> {
    // One after the other: each compares with what the one before has left.
    const turn = this.reloads.then(() => this.reloadOnce());
    this.reloads = turn;
    return new ResultAsync(turn);
  }

  private async reloadOnce(): Promise<Result<Changes, BridgeError>> {
    const result = await this.reread(this.settings).asyncAndThen((wanted) => this.apply(wanted));
    result.match(
      (changes) => this.reporter.reloaded(changes),
      (error) => this.reporter.reloadFailed(error),
    );
    return result;
  }

  private apply({ hasMoreBridges = false, ...wanted }: ResolvedSettings & Beside): ResultAsync<Changes, BridgeError> {
    return policyOf(wanted, process.env).asyncAndThen((policy) => {
      // A policy's file may have changed under the same name.
      const same = isDeepStrictEqual(this.bridge.policy, policy);
      return this.bridge.apply(wanted, same ? undefined : policy).map(() => {
        const changes = changesBetween(this.settings, wanted, same ? [] : ['policy']);
        this.settings = reloaded(this.settings, wanted);
        this.reporter.level = wanted.logLevel;
        if (changes.applied.includes(SCHEMA.metrics.key)) void this.openMetrics();
        return hasMoreBridges ? { ...changes, waiting: [...changes.waiting, 'bridge'] } : changes;
      });
    });
  }
}
