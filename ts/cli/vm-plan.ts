// From the arguments of `x11bridge vm` to a guest that can be started.

import { homedir } from 'node:os';
import { join } from 'node:path';
import { err, ok, safeTry, type Result } from 'neverthrow';
import type { ResolvedSettings, SettingName } from '../config/options.js';
import { SCHEMA, SETTING_NAMES } from '../config/schema.js';
import type { Flags } from '../config/sources.js';
import { failure, type BridgeError } from '../errors.js';
import { chooseAcceleration } from '../vm/acceleration.js';
import { newEndMark } from '../vm/end-mark.js';
import { guestFiles, type GuestConfig, type TerminalSize } from '../vm/guest-files.js';
import { findGuestHalf } from '../vm/guest-half.js';
import type { GuestPlan } from '../vm/guest.js';
import { resolveVmOptions, type VmOptions } from '../vm/options.js';
import { findParts } from '../vm/parts.js';
import { settingsOf } from './invocation.js';
import type { Reporter } from './reporter.js';
import { vmOptionsOf, type VmInvocation } from './vm-options.js';

/** What starts the bridge's guest half, from dist/cli. */
const GUEST_ENTRY = join(__dirname, 'guest.js');
/** Variables that lead to sockets of the host. */
const HOST_ONLY: ReadonlySet<string> = new Set(['DISPLAY', 'XAUTHORITY', 'WAYLAND_DISPLAY', 'WAYLAND_SOCKET', 'DBUS_SESSION_BUS_ADDRESS', 'SESSION_MANAGER', 'SSH_AUTH_SOCK']);

/** Settings that concern the host half, where there is one. */
const HOST_SIDE: readonly SettingName[] = ['hostDisplay', 'hostXauthority'];
/** Enforced by a host half of our own, where the guest can't get round it. */
const HOST_POLICY: SettingName = 'policy';

/** Everything that the person has said. */
export interface Wish {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly settings: ResolvedSettings;
  readonly options: VmOptions;
  readonly flags: Flags;
}

/** Checks the arguments. */
export function wishOf(command: readonly string[], invocation: VmInvocation): Result<Wish, BridgeError> {
  return safeTry(function* () {
    return ok({
      command: yield* commandOf(command, invocation.interactive ?? false),
      settings: yield* settingsOf(invocation, process.env),
      options: yield* resolveVmOptions(vmOptionsOf(invocation)),
      flags: invocation,
    });
  });
}

function commandOf(command: readonly string[], interactive: boolean): Result<readonly string[], BridgeError> {
  if (interactive && command.length > 0) return err(failure('invalid-option', '--interactive runs a shell, so it takes no COMMAND'));
  if (interactive) return ok([process.env['SHELL'] || '/bin/sh', '-i']);
  return command.length > 0 ? ok(command) : err(failure('invalid-option', 'there is no COMMAND to run in the guest: name one, or use --interactive; see x11bridge vm --help'));
}

/** Whether the guest reaches the X server by our own host half; other channels need none. */
export function needsHostHalf({ settings }: Wish): boolean {
  return settings.channel === 'auto' || settings.channel === 'virtgpu';
}

/** The devices of the host half. */
export interface GuestDevices {
  /** QEMU's arguments. */
  readonly device: readonly string[];
  /** Whether a /dev/shm is among them. */
  readonly devShm: boolean;
}

/** Finds what the guest is made of. */
export async function planGuest(wish: Wish, { device, devShm }: GuestDevices, reporter: Reporter): Promise<Result<GuestPlan, BridgeError>> {
  const { options } = wish;
  const found = findParts(options, process.env).andThen((parts) => findGuestHalf(parts, GUEST_ENTRY, options.package).map((half) => ({ parts, half })));
  if (found.isErr()) return err(found.error);
  const { parts, half } = found.value;
  const { acceleration, reason } = await chooseAcceleration(options.acceleration, parts);
  reporter.log('info', `the guest runs with ${acceleration.toUpperCase()}: ${reason}`);
  const size = terminalSize();
  const terminal = size && { ...size, stderr: process.stderr.isTTY };
  const endMark = newEndMark();
  const { memory, cpus, network } = options;
  const shares = [...options.shares, ...half.shares];
  const guest = { ...half, endMark, terminal, shares, network, devShm };
  return ok({
    parts,
    machine: { acceleration, memory, cpus, shares, network, terminal: terminal !== undefined, device },
    files: guestFiles(guest, guestConfig(wish)),
    endMark,
    log: (level, message) => reporter.log(level, message),
  });
}

/** The size of our terminal; undefined where the program is not to have one. */
export function terminalSize(): TerminalSize | undefined {
  const { stdin, stdout } = process;
  return stdin.isTTY && stdout.isTTY ? { rows: stdout.rows, columns: stdout.columns } : undefined;
}

function guestConfig(wish: Wish): GuestConfig {
  const env = Object.entries(process.env).filter(([name, value]) => value !== undefined && !HOST_ONLY.has(name)) as [string, string][];
  return {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    cwd: process.cwd(),
    env: { HOME: homedir(), ...Object.fromEntries(env) },
    args: ['run', ...guestHalfFlags(wish), '--', ...wish.command],
  };
}

/** What was given on the command line, for the guest half; it reads the files and variables itself, as they are the guest's too. */
function guestHalfFlags(wish: Wish): string[] {
  const ownHalf = needsHostHalf(wish) && wish.options.hostSocket === undefined;
  const outside = new Set([...(needsHostHalf(wish) ? HOST_SIDE : []), ...(ownHalf ? [HOST_POLICY] : [])]);
  const inside = SETTING_NAMES.filter((name) => name !== 'channel' && !outside.has(name));
  const flags = [...inside.map((name) => [SCHEMA[name].key, wish.flags[name]]), ['config', wish.flags['config']]];
  const channel = needsHostHalf(wish) ? 'virtgpu' : wish.settings.channel;
  // The guest half would find the same policy in the files.
  const policy = ownHalf ? ['--policy=open'] : [];
  return [`--channel=${channel}`, ...policy, ...flags.flatMap(([key, value]) => (typeof value === 'string' ? [`--${String(key)}=${value}`] : []))];
}
