// Guests with arm64 processors on a machine with others, with pages of 4 and of 16 KiB: their own system, Node, and packed x11bridge.

import assert from 'node:assert/strict';
import { finish } from '../support/processes.js';
import { comparableQueries, withoutHidden } from '../x11/support/queries.js';
import { assertCopiedIn, assertCopiedOut } from './support/clipboard.js';
import { HIDDEN, STOPPED_CLOCK } from './support/expectations.js';
import { inTheWholeRun } from './support/extent.js';
import { PAGES, foreignPackage } from './support/foreign.js';
import { inOneGuest } from './support/place.js';
import { assertSamePicture } from './support/pictures.js';

const CLIPBOARD_MEBIBYTES = 4;
const ROUND_TRIPS = 500;

inTheWholeRun(() => {
  if (process.arch !== 'x64') return;
  for (const [kernel, kibibytes] of Object.entries(PAGES)) {
    inOneGuest(`an arm64 guest with pages of ${kibibytes} KiB`, ['--kernel', kernel, '--package', foreignPackage()], (place) => {
      it('has that processor, and pages of that size', async () => {
        const { stdout } = await place.guest.run('uname -m; grep -m 1 KernelPageSize /proc/self/smaps');
        assert.match(stdout, new RegExp(`^aarch64\nKernelPageSize: +${kibibytes} kB\n$`));
      });

      it('answers xdpyinfo as outside', async () => {
        const inside = await place.guest.run('xdpyinfo -queryExtensions');
        const outside = await finish('xdpyinfo', ['-queryExtensions'], { env: place.env(place.direct) });
        assert.equal(inside.code, 0, inside.stderr);
        assert.deepEqual(comparableQueries(inside.stdout), withoutHidden(comparableQueries(outside.stdout), HIDDEN));
      });

      it('asks for rings of whole pages', async () => {
        // Mappings are rounded to pages, whoever asks; so what counts is what the kernel was asked for. The system has no mount of its own.
        const { stdout, stderr } = await place.guest.run(
          [
            '/proc/1/root/bin/busybox mount -t tracefs tracefs /sys/kernel/tracing; cd /sys/kernel/tracing/events/syscalls/sys_enter_mmap',
            "echo 'flags == 1' > filter; echo 1 > enable; xdpyinfo > /dev/null; echo 0 > enable; grep x11-client ../../../trace",
          ].join('\n'),
        );
        const lengths = [...stdout.matchAll(/x11-client-.* sys_mmap\(.*\blen: ([0-9a-f]+),/g)].map(([, length]) => Number(`0x${length}`));
        assert.ok(lengths.length >= 2, stdout + stderr);
        for (const length of lengths) assert.equal(length % (kibibytes << 10), 0, stdout);
      });

      it('makes round trips', async () => {
        const { code, stdout, stderr } = await place.guest.run(`x11perf -repeat 1 -reps ${ROUND_TRIPS} -pointer`);
        assert.equal(code, 0, stderr);
        assert.match(stdout, new RegExp(`^ *${ROUND_TRIPS} reps @ `, 'm'));
      });

      it('shows the same clock', async () => {
        await assertSamePicture(place, { program: 'xclock', args: ['-analog', '-update', '1', '-geometry', '400x400+20+20'], env: STOPPED_CLOCK, edges: 1000 });
      });

      it('shows the same text in xterm', async () => {
        const line = `${'The quick brown fox jumps over the lazy dog. '.repeat(2).slice(0, 76)}\\r\\n`;
        const script = `for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do printf '%s ${line}' $line; done; exec sleep 1000`;
        await assertSamePicture(place, { program: 'xterm', args: ['-geometry', '80x24+20+20', '-e', 'sh', '-c', script], edges: 5000 });
      });

      it(`carries ${CLIPBOARD_MEBIBYTES} MiB of the clipboard both ways`, async () => {
        await assertCopiedOut(place, CLIPBOARD_MEBIBYTES);
        await assertCopiedIn(place, CLIPBOARD_MEBIBYTES);
      });

      it('has clients that can be killed without harm to others', async () => {
        await using bystander = await place.guest.start('xclock', ['-update', '1']);
        for (const milliseconds of [0, 50, 200, 1000]) {
          const victim = await place.guest.start('x11perf', ['-repeat', '1', '-time', '10', '-putimage500', '-getimage500']);
          await place.guest.run(`sleep ${milliseconds / 1000}; kill -KILL ${victim.pid}`);
          await victim.finished();
        }
        assert.ok(await bystander.isRunning(), bystander.stderr);
        const { code, stderr } = await place.guest.run('xdpyinfo');
        assert.equal(code, 0, stderr);
      });
    });
  }
});
