// Real programs in a real guest, as a user runs them.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { finish } from '../support/processes.js';
import { clientProgram } from '../x11/support/attack.js';
import { comparableQueries, withoutHidden } from '../x11/support/queries.js';
import { assertCopiedIn, assertCopiedOut } from './support/clipboard.js';
import { HIDDEN, STOPPED_CLOCK } from './support/expectations.js';
import { inOneGuest } from './support/place.js';
import { assertSamePicture } from './support/pictures.js';

const CLIPBOARD_MEBIBYTES = 16;

inOneGuest('programs in a guest', [], (place) => {
  it('xdpyinfo prints the same as outside, but for the name of the display and the hidden extensions', async () => {
    const inside = await place.guest.run('xdpyinfo -queryExtensions');
    const outside = await finish('xdpyinfo', ['-queryExtensions'], { env: place.env(place.direct) });
    assert.deepEqual([inside.code, outside.code], [0, 0], inside.stderr);
    assert.deepEqual(comparableQueries(inside.stdout), withoutHidden(comparableQueries(outside.stdout), HIDDEN));
  });

  it('xterm shows the same text', async () => {
    const text = place.guest.file('text');
    writeFileSync(text, Array.from({ length: 22 }, (_, line) => `${String.fromCharCode(33 + line).repeat(70)}\r\n`).join(''));
    await assertSamePicture(place, { program: 'xterm', args: ['-geometry', '80x24+20+20', '-e', 'sh', '-c', `cat ${text}; exec sleep 1000`], edges: 5000 });
  });

  it('xclock shows the same time', async () => {
    await assertSamePicture(place, { program: 'xclock', args: ['-analog', '-update', '1', '-geometry', '400x400+20+20'], env: STOPPED_CLOCK, edges: 1000 });
  });

  it('a GTK 3 program shows the same dialog', async () => {
    const args = ['--info', '--width', '400', '--title', 'x11bridge', '--text', 'The quick brown fox\njumps over the lazy dog'];
    await assertSamePicture(place, { program: 'zenity', args, edges: 1000 });
  });

  it(`xclip in the guest gives ${CLIPBOARD_MEBIBYTES} MiB to one outside`, () => assertCopiedOut(place, CLIPBOARD_MEBIBYTES));

  it(`xclip outside gives ${CLIPBOARD_MEBIBYTES} MiB to one in the guest`, () => assertCopiedIn(place, CLIPBOARD_MEBIBYTES));

  it('50 clients at once all work', async () => {
    const { stdout, stderr } = await place.guest.run(`'${clientProgram('x11-attack')}' crowd --count 50`);
    assert.equal(stdout, '{"open":50}\n{"connections":50}\n', stderr);
  });

  it('clients that are killed at any time hurt no other', async () => {
    await using bystander = await place.guest.start('xclock', ['-update', '1']);
    for (const milliseconds of [0, 10, 30, 60, 100, 150, 200, 300, 500, 800]) {
      const victim = await place.guest.start('x11perf', ['-repeat', '1', '-time', '10', '-putimage500', '-getimage500']);
      await place.guest.run(`sleep ${milliseconds / 1000}; kill -KILL ${victim.pid}`);
      await victim.finished();
    }
    assert.ok(await bystander.isRunning(), bystander.stderr);
    const { code, stderr } = await place.guest.run('xdpyinfo');
    assert.equal(code, 0, stderr);
  });
});
