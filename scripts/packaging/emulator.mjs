// Runs programs of another processor on this machine: QEMU's user mode and the C library of that processor, from Debian.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AptTree, unpack } from '../apt-tree.mjs';
import { cached } from '../cache.mjs';

const SUITES = ['bookworm', 'bookworm-security'];
/** What Node and Rust programs are linked with. */
const LIBRARIES = ['libc6', 'libgcc-s1', 'libstdc++6'];

/**
 * What runs arm64 programs: a program that takes theirs and its arguments. Children that it starts are not emulated by themselves.
 * @returns {string} its path
 * @throws {import('../setup.mjs').StepError} when it can't be fetched
 */
export function arm64Emulator() {
  const folder = cached('qemu-user-aarch64', (partial) => {
    const [native, foreign] = [new AptTree(join(partial, 'apt'), 'amd64', SUITES), new AptTree(join(partial, 'apt-foreign'), 'arm64', SUITES)];
    for (const apt of [native, foreign]) apt.update();
    unpack(native.download(['qemu-user-static']), partial);
    unpack(foreign.download(LIBRARIES), join(partial, 'root'));
    for (const apt of ['apt', 'apt-foreign']) rmSync(join(partial, apt), { recursive: true });
    const script = '#!/bin/sh\nhere=${0%/*}\nexec "$here/usr/bin/qemu-aarch64-static" -L "$here/root" "$@"\n';
    writeFileSync(join(partial, 'run-arm64'), script, { mode: 0o755 });
  });
  return join(folder, 'run-arm64');
}
