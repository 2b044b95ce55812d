// Real programs in a real guest, as a user runs them.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { eventually, finish, Running } from '../support/processes.js';
import { clientProgram } from '../x11/support/attack.js';
import { comparableQueries, withoutHidden } from '../x11/support/queries.js';
import { HIDDEN, STOPPED_CLOCK } from './support/expectations.js';
import { inOneGuest, type GuestPlace } from './support/place.js';
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

  it(`xclip in the guest gives ${CLIPBOARD_MEBIBYTES} MiB to one outside`, async () => {
    const source = newSource(place);
    const copying = await place.guest.start('xclip', ['-quiet', '-verbose', '-selection', 'clipboard', '-loops', '1', '-in', source]);
    await eventually('xclip owns the selection', () => copying.stderr.includes('Waiting for'));
    assert.equal(await pasteOutside(place), digest(source));
    assert.equal((await copying.finished()).code, 0);
  });

  it(`xclip outside gives ${CLIPBOARD_MEBIBYTES} MiB to one in the guest`, async () => {
    const source = newSource(place);
    const args = ['-quiet', '-verbose', '-selection', 'clipboard', '-loops', '1', '-in', source];
    await using copying = new Running('xclip', args, { env: place.env(place.host), limitMs: 100_000 });
    await copying.untilOutput(/Waiting for/, 'stderr');
    const { stdout, stderr } = await place.guest.run('xclip -selection clipboard -out | sha256sum');
    assert.equal(stdout.split(' ')[0], digest(source), stderr);
    assert.equal((await copying.finished()).code, 0);
  });

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

function newSource(place: GuestPlace): string {
  const path = place.guest.file('source');
  writeFileSync(path, randomBytes(CLIPBOARD_MEBIBYTES << 19).toString('hex'));
  return path;
}

async function pasteOutside(place: GuestPlace): Promise<string> {
  const target = place.guest.file('target');
  const output = openSync(target, 'w');
  const { code, stderr } = await finish('xclip', ['-selection', 'clipboard', '-out'], { env: place.env(place.host), stdio: ['ignore', output, 'pipe'], limitMs: 100_000 });
  closeSync(output);
  assert.equal(code, 0, stderr);
  return digest(target);
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
