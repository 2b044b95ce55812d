// The arguments of QEMU for a guest.

import type { GuestArch } from './cache.js';
import type { Share } from './guest-files.js';
import { PORTS, ROOT_TAG, shareTag } from './init-script.js';

/** How the guest's processor is had. */
export type Acceleration = 'kvm' | 'tcg';

/** The streams between QEMU and us, by the descriptors that QEMU inherits. */
export const DESCRIPTORS = { console: 3, control: 4, stdin: 5, stdout: 6, stderr: 7, terminal: 8 } as const;

/** A guest, as QEMU has to know it. */
export interface MachineSpec {
  readonly arch: GuestArch;
  readonly acceleration: Acceleration;
  /** in MiB */
  readonly memory: number;
  readonly cpus: number;
  readonly kernel: string;
  readonly initrd: string;
  /** The folder whose files are the guest's. */
  readonly root: string;
  readonly shares: readonly Share[];
  readonly network: boolean;
  readonly terminal: boolean;
  /** The arguments for the host half's device. */
  readonly device: readonly string[];
}

/** What differs between processors: the machine, what the kernel calls its first serial port, and what TCG is fast with. */
const BOARDS: Readonly<Record<GuestArch, { machine: string; console: string; tcgCpu: string }>> = {
  x64: { machine: 'q35', console: 'ttyS0', tcgCpu: 'max' },
  // The architected pointer authentication costs TCG half of its speed.
  arm64: { machine: 'virt', console: 'ttyAMA0', tcgCpu: 'max,pauth-impdef=on' },
};

/** The arguments without the program's name. */
export function machineArguments(spec: MachineSpec): string[] {
  return [
    ...board(spec),
    '-kernel',
    spec.kernel,
    '-initrd',
    spec.initrd,
    '-append',
    `console=${BOARDS[spec.arch].console} quiet loglevel=4 panic=-1`,
    ...ports(spec),
    ...folder('root', spec.root, ROOT_TAG, false),
    ...spec.shares.flatMap(({ path, writable }, index) => folder(`share${index}`, path, shareTag(index), writable)),
    ...(spec.network ? ['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='] : []),
    ...spec.device,
  ];
}

function board({ arch, acceleration, memory, cpus }: MachineSpec): string[] {
  const { machine, tcgCpu } = BOARDS[arch];
  const options = {
    // The device reads and writes the guest's memory, so it has to be shared with it.
    machine: `${machine},memory-backend=ram`,
    object: `memory-backend-memfd,id=ram,size=${memory}M,share=on`,
    m: `${memory}M`,
    ...(acceleration === 'tcg' ? { accel: 'tcg,thread=multi', cpu: tcgCpu } : { accel: 'kvm', cpu: 'host' }),
    // With a single possible processor TCG's atomic operations are not atomic for other processes.
    smp: `${cpus},maxcpus=${Math.max(cpus, 2)}`,
    name: 'x11bridge',
    display: 'none',
    // Else a guest that is stuck would stay behind when we are killed.
    'run-with': 'exit-with-parent=on',
  };
  return ['-nodefaults', '-no-user-config', '-no-reboot', ...Object.entries(options).flatMap(([name, value]) => [`-${name}`, value])];
}

function ports({ terminal }: MachineSpec): string[] {
  const port = (name: keyof typeof PORTS): string[] => [...stream(name), '-device', `virtserialport,bus=ports.0,chardev=${name},name=${PORTS[name]}`];
  return [
    ...stream('console'),
    '-serial',
    'chardev:console',
    '-device',
    'virtio-serial-pci,id=ports',
    ...port('control'),
    ...port('stderr'),
    ...(terminal ? [...stream('terminal'), '-device', 'virtconsole,bus=ports.0,chardev=terminal'] : [...port('stdin'), ...port('stdout')]),
  ];
}

function stream(name: keyof typeof DESCRIPTORS): string[] {
  return ['-chardev', `socket,id=${name},fd=${DESCRIPTORS[name]}`];
}

function folder(id: string, path: string, tag: string, writable: boolean): string[] {
  const fsdev = `local,id=${id},path=${path.replaceAll(',', ',,')},security_model=none,multidevs=remap,readonly=${writable ? 'off' : 'on'}`;
  return ['-fsdev', fsdev, '-device', `virtio-9p-pci,fsdev=${id},mount_tag=${tag}`];
}
