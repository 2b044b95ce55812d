// KVM or TCG. That /dev/kvm can be opened says little: some hosts offer it but can't run a guest's kernel. So a guest is booted once.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { probeFiles } from './guest-files.js';
import { DESCRIPTORS, machineArguments, type Acceleration } from './machine.js';
import type { GuestParts } from './parts.js';

/** Where KVM works, a guest is up in a second. */
const PROBE_LIMIT_MS = 10_000;

/** The choice, and why in one line. */
export interface AccelerationChoice {
  readonly acceleration: Acceleration;
  readonly reason: string;
}

/**
 * KVM where it boots the guest, else TCG. The answer is remembered until the machine is started again.
 * @param wanted what the person has chosen
 */
export async function chooseAcceleration(wanted: Acceleration | undefined, parts: GuestParts): Promise<AccelerationChoice> {
  if (wanted !== undefined) return { acceleration: wanted, reason: 'as chosen' };
  if (parts.arch !== process.arch) return { acceleration: 'tcg', reason: 'the guest has another processor' };
  if (!canOpenKvm()) return { acceleration: 'tcg', reason: '/dev/kvm is not there or may not be used' };
  const works = rememberedKvm(parts) ?? (await probeAndRemember(parts));
  return works ? { acceleration: 'kvm', reason: 'it boots the guest' } : { acceleration: 'tcg', reason: '/dev/kvm is there, but did not boot the guest' };
}

function canOpenKvm(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What was found out since the machine was started, by QEMU and kernel: a kernel may use what KVM lacks, and another may not. */
interface Memory {
  readonly boot: string;
  readonly works: Readonly<Record<string, boolean>>;
}

async function probeAndRemember(parts: GuestParts): Promise<boolean> {
  const works = await bootsUnderKvm(parts);
  try {
    const memory: Memory = { boot: bootId(), works: { ...readMemory(parts)?.works, [subjectOf(parts)]: works } };
    writeFileSync(memoryPath(parts), JSON.stringify(memory));
  } catch {
    // Then it is tried again for the next guest.
  }
  return works;
}

/** Whether KVM boots a guest, if that has been found out since the machine was started. */
export function rememberedKvm(parts: GuestParts): boolean | undefined {
  return readMemory(parts)?.works[subjectOf(parts)];
}

function readMemory(parts: GuestParts): Memory | undefined {
  try {
    const memory = JSON.parse(readFileSync(memoryPath(parts), 'utf8')) as Memory;
    return memory.boot === bootId() ? memory : undefined;
  } catch {
    return undefined;
  }
}

function memoryPath({ cache }: GuestParts): string {
  return join(cache, 'kvm.json');
}

function subjectOf({ qemu, kernel }: GuestParts): string {
  return `${qemu} ${kernel}`;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

async function bootsUnderKvm(parts: GuestParts): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'x11bridge-vm-'));
  try {
    const initrd = join(folder, 'initrd');
    writeFileSync(initrd, Buffer.concat([readFileSync(parts.tools), probeFiles()]));
    const machine = { acceleration: 'kvm', memory: 256, cpus: 1, shares: [], network: false, terminal: false, device: [] } as const;
    const args = machineArguments({ ...machine, arch: parts.arch, kernel: parts.kernel, root: parts.root, initrd });
    const streams = Object.values(DESCRIPTORS).map(() => 'pipe' as const);
    const qemu = spawn(parts.qemu, args, { stdio: ['ignore', 'ignore', 'pipe', ...streams], timeout: PROBE_LIMIT_MS, killSignal: 'SIGKILL' });
    let said = '';
    qemu.stdio[DESCRIPTORS.control]?.on('data', (data) => (said += String(data)));
    // A guest that KVM can't go on with is stopped, not ended.
    qemu.stderr?.on('data', () => qemu.kill('SIGKILL'));
    qemu.stdio[DESCRIPTORS.console]?.on('data', () => undefined);
    for (const stream of qemu.stdio) stream?.on('error', () => undefined);
    await once(qemu, 'close');
    return said.includes('alive');
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
