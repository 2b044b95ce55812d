// `x11bridge host`: the host half until a signal ends it.

import type { Result } from 'neverthrow';
import { hostConfig, OWN_OPTIONS, type OwnOptionName } from '../../config/host.js';
import { changesBetween } from '../../config/changes.js';
import type { ResolvedSettings } from '../../config/options.js';
import { SCHEMA } from '../../config/schema.js';
import type { Flags } from '../../config/sources.js';
import type { BridgeError } from '../../errors.js';
import type { ContextClosed } from '../../host/events.js';
import type { Host } from '../../host/host.js';
import { startHostHalf } from '../../host/start.js';
import { settingsOf, type Invocation } from '../invocation.js';
import { Reporter } from '../reporter.js';
import { ServedBridge } from '../served-bridge.js';
import { ServeSignals } from '../serve-signals.js';
import { complainAbout, say, shellQuoted } from '../terminal.js';

/**
 * Serves virtual machines until SIGTERM or SIGINT; SIGHUP reads the configuration again.
 * @returns the exit code: 0 after a signal
 */
export async function host(invocation: Invocation): Promise<number> {
  // Before the socket exists: a signal must never find it without somebody to clean up.
  const signals = new ServeSignals();
  return start(invocation).match(
    async (started) => {
      signals.onReload = () => started.reload();
      await started.guard?.openControl();
      if (!invocation.json) announce(started.host);
      await signals.stopped;
      started.guard?.closeControl();
      await started.host.close();
      return 0;
    },
    async (error) => complainAbout(error),
  );
}

/** A host half, and what a signal does to it. */
interface Started {
  readonly host: Host;
  /** What holds its guests to a policy. */
  readonly guard: ServedBridge | undefined;
  readonly reload: () => void;
}

function start(invocation: Invocation): Result<Started, BridgeError> {
  // Its socket is another one than a bridge's.
  const { socket: _socket, ...flags } = invocation;
  return settingsOf(flags, process.env).andThen((settings) =>
    hostConfig(settings, ownOptions(invocation), flagOf)
      .andThen((config) => startHostHalf(config, process.env).map((started) => ({ started, contexts: config.contextsMax })))
      .map(({ started, contexts }) => {
        const reporter = new Reporter(settings.logLevel, invocation.json ? say : undefined);
        followHost(started, reporter);
        if (started.guard === undefined) return { host: started, guard: undefined, reload: () => reloadAlone(flags, settings, reporter) };
        const guarded = (all: ResolvedSettings): ResolvedSettings => ({ ...all, shm: 'fd', dri3: 'auto', clientsMax: contexts });
        const guard = ServedBridge.guarding(started.guard.bridge, started.socket, guarded(settings), reporter, () => settingsOf(flags, process.env).map(guarded));
        return { host: started, guard, reload: () => void guard.reload() };
      }),
  );
}

/** Without a guard there is nothing that can change but what is written; a policy needs one. */
function reloadAlone(flags: Flags, holding: ResolvedSettings, reporter: Reporter): void {
  settingsOf(flags, process.env).match(
    (wanted) => {
      const { applied, waiting } = changesBetween({ ...holding, logLevel: reporter.level }, wanted);
      reporter.level = wanted.logLevel;
      const now = applied.filter((key) => key === SCHEMA.logLevel.key);
      reporter.reloaded({ applied: now, waiting: [...waiting, ...applied.filter((key) => !now.includes(key))] });
    },
    (error) => reporter.reloadFailed(error),
  );
}

function flagOf(name: OwnOptionName | 'hostDisplay'): string {
  return `--${name === 'hostDisplay' ? SCHEMA[name].key : OWN_OPTIONS[name].key}`;
}

function ownOptions(invocation: Invocation): { readonly [Name in OwnOptionName]?: unknown } {
  const valueOf = (name: OwnOptionName): unknown => {
    const text = invocation[name];
    return typeof text === 'string' ? OWN_OPTIONS[name].type.fromText(text) : undefined;
  };
  return { socket: valueOf('socket'), contextsMax: valueOf('contextsMax'), devShm: valueOf('devShm') };
}

/** Tells of a host half that has started, and of all that happens to it. */
export function followHost(started: Host, reporter: Reporter): void {
  started.on('log', ({ level, message }) => reporter.log(level, message));
  reporter.event('ready', { socket: started.socket, qemuArguments: started.qemuArguments });
  started.on('guest-connected', (guest) => {
    if (!reporter.event('guest-connected', guest)) reporter.log('info', `a virtual machine connected (pid ${guest.pid ?? 'unknown'})`);
  });
  started.on('guest-disconnected', (guest) => {
    if (!reporter.event('guest-disconnected', guest)) reporter.log('info', `the virtual machine is gone: ${guest.reason}`);
  });
  started.on('context-opened', (context) => {
    if (!reporter.event('context-opened', context)) reporter.log('info', `context ${context.context} opened (${context.name || 'without a name'})`);
  });
  started.on('context-closed', (context) => {
    const { traffic, ...rest } = context;
    if (!reporter.event('context-closed', { ...rest, ...traffic })) reporter.log('info', closed(context));
  });
  started.on('closed', () => void reporter.event('closed'));
}

function closed({ context, reason, traffic }: ContextClosed): string {
  return `context ${context} closed after ${traffic.bytesToHost} bytes to the X server and ${traffic.bytesToGuest} from it: ${reason}`;
}

function announce({ socket, qemuArguments }: Host): void {
  say(`x11bridge: ready on ${socket}; add this to the command line of QEMU 11.1 or newer, whose memory must be shared:`);
  say(qemuArguments.map(shellQuoted).join(' '));
}
