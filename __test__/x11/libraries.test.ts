// Clients of three client libraries do the same work, and print what they saw; Xlib and xcb are in all other programs here.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';
import { overEveryChannel, type Side } from './support/stage.js';

const CLIENTS = join(ROOT, '__test__/x11/clients');

/** Drawing, copying, images and text: each is named as x11perf names it. */
const PERF_TESTS = ['-dot', '-rect100', '-seg10', '-ftext', '-putimage100', '-getimage100', '-copywinwin100', '-scroll100', '-prop', '-gc', '-atom', '-create', '-map', '-pointer'];

overEveryChannel('client libraries', (stage) => {
  it('the pure JavaScript library x11 sees the same', async () => {
    await assertSameSight(process.execPath, [join(CLIENTS, 'javascript.cjs')]);
  });

  it('python-xlib sees the same', async () => {
    await assertSameSight('/usr/bin/python3', [join(CLIENTS, 'python.py')]);
  });

  it('Xlib carries out the same subset of x11perf', async () => {
    const [direct, bridged] = [await perfTitles('direct'), await perfTitles('bridged')];
    assert.ok(direct.length >= PERF_TESTS.length, direct.join());
    assert.deepEqual(bridged, direct);
  });

  /** What x11perf says that it has done, without how long that took. */
  async function perfTitles(side: Side): Promise<string[]> {
    const { code, stdout, stderr } = await stage.run(side, 'x11perf', ['-repeat', '1', '-reps', '200', ...PERF_TESTS]);
    assert.equal(code, 0, stderr);
    return [...stdout.matchAll(/ reps @.*sec\): (.*)$/gm)].map((match) => match[1] ?? '');
  }

  async function assertSameSight(program: string, args: readonly string[]): Promise<void> {
    const [direct, bridged] = await Promise.all([stage.run('direct', program, args), stage.run('bridged', program, args)]);
    assert.deepEqual([direct.code, bridged.code], [0, 0], `${direct.stderr}${bridged.stderr}`);
    assert.deepEqual(JSON.parse(bridged.stdout), JSON.parse(direct.stdout));
  }
});
