// Starts the bridge that a command works with, and reports what it does.

import type { Result } from 'neverthrow';
import { LOG_LEVELS, OPTION_RULES } from '../config/options.js';
import { resolveOptions } from '../config/resolve.js';
import type { BridgeError } from '../errors.js';
import type { Bridge } from '../session/bridge.js';
import type { ClientClosed, ClientConnected, LogLine } from '../session/events.js';
import { startSession } from '../session/start.js';
import type { Settings } from './program.js';
import { complain } from './terminal.js';

/**
 * Starts a bridge from the command line's options.
 * @param writeJson takes each line of JSON; called only with `--json`
 */
export function openBridge(settings: Settings, writeJson: (line: string) => void): Result<Bridge, BridgeError> {
  return resolveOptions(settings.raw, process.env, (option) => `--${OPTION_RULES[option].flag}`)
    .andThen((config) => startSession(config, process.env))
    .map((bridge) => {
      const log = (line: LogLine): void => writeLog(line, settings);
      bridge.on('log', log);
      log({ level: 'info', message: `channel ${bridge.channel}: ${bridge.channelReason}` });
      if (settings.json) reportJson(bridge, writeJson);
      else reportClients(bridge, log);
      return bridge;
    });
}

function writeLog({ level, message }: LogLine, { logLevel }: Settings): void {
  if (LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(logLevel)) complain(`${level}: ${message}`);
}

function reportJson(bridge: Bridge, write: (line: string) => void): void {
  const writeEvent = (event: string, details: object = {}): void => write(JSON.stringify({ event, ...details }));
  writeEvent('ready', { display: bridge.display, channel: bridge.channel, xauthority: bridge.xauthority });
  bridge.on('client-connected', (client) => writeEvent('client-connected', client));
  bridge.on('client-closed', ({ totals, ...client }) => writeEvent('client-closed', { ...client, ...totals }));
  bridge.on('closed', () => writeEvent('closed'));
}

function reportClients(bridge: Bridge, log: (line: LogLine) => void): void {
  bridge.on('client-connected', (client) => log({ level: 'info', message: connected(client) }));
  bridge.on('client-closed', (client) => log({ level: 'info', message: closed(client) }));
}

function connected({ client, pid, program }: ClientConnected): string {
  return `client ${client} connected (${program ?? 'unknown program'}, pid ${pid ?? 'unknown'})`;
}

function closed({ client, reason, totals }: ClientClosed): string {
  return `client ${client} closed after ${totals.requests} requests and ${totals.replies} replies: ${reason}`;
}
