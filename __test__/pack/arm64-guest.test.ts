// The packed arm64 package in arm64 guests, as a user runs it there: by npx, over the network and over virtio-gpu.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { finish, Running, type Finished } from '../support/processes.js';
import { HIDDEN, HIDDEN_FROM_PIPES } from '../vm/support/expectations.js';
import { PAGES, foreignPackage } from '../vm/support/foreign.js';
import { BOOT_LIMIT_MS, inOneGuest, type GuestPlace } from '../vm/support/place.js';
import { comparableQueries, withoutHidden } from '../x11/support/queries.js';

for (const [kernel, kibibytes] of Object.entries(PAGES)) {
  inOneGuest(`the packed package in an arm64 guest with pages of ${kibibytes} KiB`, ['--network', '--kernel', kernel, '--package', foreignPackage()], (place) => {
    it('is the one of that processor, and runs in its Node', async () => {
      const { stdout, stderr } = await npx(place, '--version; node -p process.arch; grep -m 1 KernelPageSize /proc/self/smaps');
      assert.match(stdout, new RegExp(`^\\d+\\.\\d+\\.\\d+\\S*\narm64\nKernelPageSize: +${kibibytes} kB\n$`), stderr);
    });

    it('leads to the X server outside over virtio-gpu', async () => {
      await assertLeadsOutside(place, ['--channel', 'virtgpu'], HIDDEN);
    });

    it('leads to the X server outside over TCP', async () => {
      await using listener = new Running('socat', ['-d', '-d', 'TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr', `UNIX-CONNECT:${place.host.socketPath}`], { limitMs: BOOT_LIMIT_MS });
      const [, port] = await listener.untilOutput(/listening on .*:(\d+)$/m, 'stderr');
      const cookies = place.guest.file('cookies');
      copyFileSync(place.host.xauthority ?? '', cookies);
      // QEMU's network has the host's own loopback address under this one.
      await assertLeadsOutside(place, ['--channel', `tcp:10.0.2.2:${port}`, '--host-xauthority', cookies], HIDDEN_FROM_PIPES);
    });
  });
}

async function assertLeadsOutside(place: GuestPlace, options: readonly string[], hidden: readonly string[]): Promise<void> {
  const inside = await npx(place, `run ${options.join(' ')} -- xdpyinfo -queryExtensions`);
  const outside = await finish('xdpyinfo', ['-queryExtensions'], { env: place.env(place.direct) });
  assert.equal(inside.code, 0, inside.stderr);
  assert.deepEqual(comparableQueries(inside.stdout), withoutHidden(comparableQueries(outside.stdout), hidden));
}

/** Runs what npm has installed; it finds no registry, so it is that or nothing. */
function npx(place: GuestPlace, line: string): Promise<Finished> {
  return place.guest.run(`cd '${foreignPackage()}' && PATH=/usr/local/bin:$PATH npx x11bridge ${line}`);
}
