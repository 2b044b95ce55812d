// The options that only `x11bridge vm` takes.

import { Option, type Command } from 'commander';
import type { RawVmOptions } from '../vm/options.js';
import type { Invocation } from './invocation.js';

/** What commander hands to the command. */
export interface VmInvocation extends Invocation {
  readonly interactive?: boolean;
  readonly qemu?: string;
  readonly kernel?: string;
  readonly root?: string;
  readonly package?: string;
  readonly accel?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly share?: readonly string[];
  readonly network?: boolean;
  readonly hostSocket?: string;
  readonly devShm?: string;
}

/** Adds them to the command. */
export function withVmOptions(command: Command): Command {
  return command
    .option('--interactive', 'run your shell instead of COMMAND')
    .addOption(proposing({ paths: 'file' }, '--qemu <PATH>', 'QEMU 11.1 or newer (default: the one that npm run vm:setup fetches)'))
    .addOption(proposing({ paths: 'file' }, '--kernel <PATH>', "kernel's image, or folder with the file vmlinuz; modules.cpio beside it has its modules; or the name of one that npm run vm:setup fetches (default: 6.12)"))
    .addOption(proposing({ paths: 'directory' }, '--root <DIR>', "files of the guest, which have to include Node (default: this machine's; for another processor those that npm run vm:setup fetches)"))
    .addOption(proposing({ paths: 'directory' }, '--package <DIR>', "folder into which npm has installed x11bridge for the guest's processor (default: this x11bridge, or the one that is installed in --root)"))
    .addOption(proposing({ words: ['auto', 'kvm', 'tcg'] }, '--accel <auto|kvm|tcg>', 'how the guest gets its processors (default: auto, KVM where it really boots the guest)'))
    .option('--memory <MIB>', 'memory of the guest, 256 to 1048576 (default: 1024)')
    .option('--cpus <N>', 'processors of the guest, 1 to 64 (default: as many as here, up to 4)')
    .addOption(proposing({ paths: 'directory' }, '--share <DIR[:rw]>', 'show the guest the folder as it is at each moment, with :rw to be written to; may be given several times').argParser(collect))
    .option('--network', "give the guest a network behind the host's address")
    .addOption(proposing({ paths: 'file' }, '--host-socket <PATH>', 'the socket of an "x11bridge host" that serves the guest (default: one of its own)'))
    .option('--dev-shm <MIB>', 'how much the guest may keep in the /dev/shm that it shares with the host, 0 to 1048576; 0 for one of its own (default: 1024)');
}

/** An option with what a shell proposes as its value. */
function proposing(values: { readonly words?: readonly string[]; readonly paths?: 'file' | 'directory' }, flags: string, description: string): Option {
  return Object.assign(new Option(flags, description), values);
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** Takes them out of all that were given. */
export function vmOptionsOf({ qemu, kernel, root, package: installed, accel, memory, cpus, share, network, hostSocket, devShm }: VmInvocation): RawVmOptions {
  return { qemu, kernel, root, package: installed, accel, memory, cpus, share, network, hostSocket, devShm };
}
