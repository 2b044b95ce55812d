// What a check is, and what it may look at.

import type { ResolvedSettings } from '../config/options.js';
import type { BridgeError } from '../errors.js';
import type { Trial } from './trial.js';
import type { Result } from 'neverthrow';

/**
 * `ok`: nothing to do. `note`: something is missing that the bridge can do without, or that only some need. `fault`: the bridge does not
 * work with the settings that there are.
 */
export type Verdict = 'ok' | 'note' | 'fault';

/** What a check found. */
export interface Finding {
  readonly verdict: Verdict;
  /** What there is, or what is wrong; no full stop. */
  readonly cause: string;
  /** What to do about it; absent where there is nothing to do. */
  readonly remedy?: string;
}

/** One check. */
export interface Check {
  /** Its stable name. */
  readonly name: string;
  /** What it looks at, for people. */
  readonly title: string;
  /** Linux alone has it. */
  readonly linuxOnly: boolean;
  readonly run: (machine: Machine) => Finding | Promise<Finding>;
}

/** The machine, as far as checks look at it; tests bring their own. Nothing here throws. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly nodeVersion: string;
  readonly env: NodeJS.ProcessEnv;
  /** The settings that `serve` would have, or what keeps it from having any. */
  readonly settings: Result<ResolvedSettings, BridgeError>;
  /** The text of a file, at most 1 MiB of it; undefined when it can't be read. */
  readonly read: (path: string) => string | undefined;
  /** The names in a folder; empty when there is none. */
  readonly list: (path: string) => readonly string[];
  /** The path that a symbolic link holds. */
  readonly link: (path: string) => string | undefined;
  /** Whether this process may read and write a path: absent, forbidden or usable. */
  readonly access: (path: string) => 'absent' | 'forbidden' | 'usable';
  /** Free and total bytes of the file system at a path. */
  readonly space: (path: string) => { readonly free: number; readonly total: number } | undefined;
  /** What a program prints on stdout within a few seconds; undefined when it can't be run. */
  readonly output: (program: string, ...args: readonly string[]) => Promise<string | undefined>;
  /** The version of the addon, or why there is none. */
  readonly addon: () => Result<string, BridgeError>;
  /** How the thread that watches fences would sleep; undefined without the addon. */
  readonly fenceWatcher: () => string | undefined;
  /** Which way to an X server the virtio-gpu device offers, or why none. */
  readonly virtgpu: (renderNode: string | undefined) => Result<string, BridgeError>;
  /** Whether KVM boots a guest, as `x11bridge vm` has found out since the machine was started; undefined when it has not. */
  readonly kvmBoots: () => boolean | undefined;
  /** The QEMU that `npm run vm:setup` has fetched. */
  readonly fetchedQemu: () => string | undefined;
  /** Whether the memory of files in a folder is a host's, and whether they have names there; undefined when none can be made. */
  readonly sharing: (folder: string) => { readonly isShared: boolean; readonly hasNames: boolean } | undefined;
  /** The bridge that `serve` would start, with a client through it. Every call gives the same. */
  readonly trial: () => Promise<Trial>;
}

export const ok = (cause: string): Finding => ({ verdict: 'ok', cause });
export const note = (cause: string, remedy?: string): Finding => ({ verdict: 'note', cause, ...(remedy !== undefined && { remedy }) });
export const fault = (cause: string, remedy: string): Finding => ({ verdict: 'fault', cause, remedy });
