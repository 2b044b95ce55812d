// What the command tells about its bridge: log lines on stderr, and with `--json` a line of JSON for each event.

import type { Changes } from '../config/changes.js';
import { LOG_LEVELS, type LogVerbosity } from '../config/options.js';
import type { BridgeStatus } from '../control/protocol.js';
import type { BridgeError } from '../errors.js';
import type { Bridge } from '../session/bridge.js';
import type { ClientClosed, ClientConnected, LogLevel } from '../session/events.js';
import { painter } from './paint.js';
import { statusText } from './status-text.js';
import { complain } from './terminal.js';
import { jsonLine } from './units.js';

export class Reporter {
  /**
   * @param level what passes to stderr; it may change at any time
   * @param writeJson takes each line of JSON; undefined for none
   * @param oneOfSeveral whether every line says which bridge it is about
   */
  constructor(
    public level: LogVerbosity,
    private readonly writeJson: ((line: string) => void) | undefined,
    private readonly oneOfSeveral = false,
  ) {}

  /** The display that events and lines are about, where they say so. */
  private about: string | undefined;

  /** Tells of all that happens to a bridge. */
  follow(bridge: Bridge): void {
    if (this.oneOfSeveral) this.about = bridge.display;
    bridge.on('log', ({ level, message }) => this.log(level, message));
    this.log('info', `channel ${bridge.channel}: ${bridge.channelReason}`);
    bridge.on('client-connected', (client) => {
      if (!this.event('client-connected', client)) this.log('info', connected(client));
    });
    bridge.on('client-closed', (client) => {
      const { totals, ...rest } = client;
      if (!this.event('client-closed', { ...rest, ...totals })) this.log('info', closed(client));
    });
    bridge.on('closed', () => void this.event('closed'));
  }

  /** Tells that clients can connect, and that its owner can look at it. */
  ready({ display, channel, xauthority }: Bridge): void {
    this.event('ready', { display, channel, ...(xauthority !== undefined && { xauthority }) });
  }

  reloaded({ applied, waiting }: Changes): void {
    this.event('reloaded', { applied, waiting });
    this.log('info', `the configuration was read again: ${applied.length === 0 ? 'nothing changes now' : `${applied.join(', ')} changed`}`);
    if (waiting.length > 0) this.log('warn', `${waiting.join(', ')} changed in the configuration, which has no effect before the next start`);
  }

  reloadFailed({ kind, message }: BridgeError): void {
    this.event('reload-failed', { kind, message });
    this.log('error', `the configuration stays as it was: ${message}`);
  }

  /** Writes a bridge's state, whatever the level: somebody has asked for it. */
  dump(status: BridgeStatus): void {
    if (this.event('state', status)) return;
    for (const line of statusText(status, painter({ isTTY: false }, {})).filter(Boolean)) complain(`state: ${line}`);
  }

  log(level: LogLevel, message: string): void {
    if (LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(this.level)) complain(`${level}: ${this.about === undefined ? '' : `${this.about}: `}${message}`);
  }

  /**
   * Writes an event as a line of JSON.
   * @returns whether events are wanted
   */
  event(event: string, details: object = {}): boolean {
    this.writeJson?.(jsonLine({ event, ...(this.about !== undefined && { display: this.about }), ...details }));
    return this.writeJson !== undefined;
  }
}

function connected({ client, pid, program }: ClientConnected): string {
  return `client ${client} connected (${program ?? 'unknown program'}, pid ${pid ?? 'unknown'})`;
}

function closed({ client, reason, totals }: ClientClosed): string {
  return `client ${client} closed after ${totals.requests} requests and ${totals.replies} replies: ${reason}`;
}
