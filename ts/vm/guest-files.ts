// The part of a guest's initial file system that differs from guest to guest.

import { cpioArchive } from './cpio.js';
import { CONFIG_PATH, INIT_SCRIPT, SETTINGS_PATH, shareTag } from './init-script.js';

/** What runs in the guest, and as whom. The guest's first program reads it; see ts/cli/guest.ts. */
export interface GuestConfig {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Arguments of the command x11bridge. */
  readonly args: readonly string[];
}

/** A folder of the host that the guest has too, at the same path. */
export interface Share {
  /** Absolute. */
  readonly path: string;
  readonly writable: boolean;
}

/** The size of a terminal, in characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** What the guest's first process has to know. */
export interface GuestSettings {
  /** The program that runs `entry`; both are paths of the host. */
  readonly nodeProgram: string;
  readonly entry: string;
  /** Ends each stream of output. */
  readonly endMark: string;
  readonly terminal: (TerminalSize & { readonly stderr: boolean }) | undefined;
  readonly shares: readonly Share[];
  readonly network: boolean;
  /** Whether there is a device for a /dev/shm that the host shares. */
  readonly devShm: boolean;
}

/** The archive for a guest that runs a program. */
export function guestFiles(settings: GuestSettings, config: GuestConfig): Buffer {
  return archive({ ...shellVariables(settings), uid: String(config.uid), gid: String(config.gid), runtime_dir: config.env['XDG_RUNTIME_DIR'] ?? '' }, settings.shares, JSON.stringify(config));
}

/** The archive for a guest that only shows that it boots. */
export function probeFiles(): Buffer {
  return archive({ probe: '1' }, [], '');
}

function archive(variables: Readonly<Record<string, string>>, shares: readonly Share[], config: string): Buffer {
  const mounts = shares.map(({ path, writable }, index) => `  mount_share ${shareTag(index)} ${writable ? 'rw' : 'ro'} ${shellQuoted(path)}\n`);
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${shellQuoted(value)}\n`);
  const text = `${settings.join('')}mount_shares() {\n${mounts.join('')}  :\n}\n`;
  return cpioArchive([
    { path: 'init', mode: 0o100_755, data: Buffer.from(INIT_SCRIPT) },
    { path: 'dev', mode: 0o40_755 },
    // The first process starts with it as its streams.
    { path: 'dev/console', mode: 0o20_600, device: { major: 5, minor: 1 } },
    { path: 'x11bridge', mode: 0o40_700 },
    { path: SETTINGS_PATH, mode: 0o100_600, data: Buffer.from(text) },
    { path: CONFIG_PATH, mode: 0o100_600, data: Buffer.from(config) },
  ]);
}

function shellVariables({ nodeProgram, entry, endMark, terminal, network, devShm }: GuestSettings): Record<string, string> {
  const variables = { probe: '0', node_program: nodeProgram, entry, end_mark: endMark, network: network ? '1' : '0', dev_shm: devShm ? '1' : '0' };
  if (terminal === undefined) return { ...variables, terminal: '0' };
  return { ...variables, terminal: '1', terminal_stderr: terminal.stderr ? '1' : '0', rows: String(terminal.rows), columns: String(terminal.columns) };
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
