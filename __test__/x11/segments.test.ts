// MIT-SHM with System V segments: toolkits insist on them, and a server behind a bridge can't know their numbers.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonLines, ROOT } from '../support/command.js';
import { eventually } from '../support/processes.js';
import { attack } from './support/attack.js';
import { footprint, untilFlat } from './support/footprint.js';
import { overEveryChannel, type Side, type Stage } from './support/stage.js';

const SEGMENTS = join(ROOT, 'build/shims/segments');

overEveryChannel('System V segments', (stage) => {
  it('carry images both ways, with the events, replies and errors of the server itself', async () => {
    const [direct, bridged] = [await run(stage, 'direct', 'images'), await run(stage, 'bridged', 'images')];
    assert.match(direct, /^whole: 0 wrong pixels$/m);
    assert.match(direct, /^got: 0 wrong pixels$/m);
    assert.equal(bridged, direct);
  });

  it('hold no pixmaps, and clients are told so', async () => {
    assert.equal(await run(stage, 'direct', 'pixmaps'), 'version 1.2\npixmaps 1\nmade 0\n');
    assert.equal(await run(stage, 'bridged', 'pixmaps'), 'version 1.2\npixmaps 0\nerror 17 of request 130.5\nmade 17\n');
  });

  it('leave nothing behind after 1,000 resizes', async () => {
    await run(stage, 'bridged', 'resizes', '10');
    const before = { ...footprint(stage.bridge.pid), mapped: mappedBy(stage.bridge.pid) };
    assert.equal(await run(stage, 'bridged', 'resizes', '1000'), 'last: 0 wrong pixels\n');
    await untilFlat(stage.bridge.pid, before);
    await eventually('no segment is left', () => mappedBy(stage.bridge.pid) <= before.mapped);
  });

  it('of another number space are never taken for those of the host', async () => {
    await using owner = stage.start('direct', SEGMENTS, ['hold']);
    const [number = ''] = await owner.untilOutput(/^\d+$/m);
    const strangers = ['--user', '--map-root-user', '--ipc', SEGMENTS, 'take', number];
    // The server itself takes the stranger's number for the owner's segment: that is what must not happen.
    assert.match((await stage.run('direct', 'unshare', strangers)).stdout, /^attached 0$[^]*^theirs: 0 wrong pixels$/m);
    const { stdout } = await stage.run('bridged', 'unshare', strangers);
    assert.match(stdout, /^error 10 of request 130\.1$/m);
    assert.doesNotMatch(stdout, /^theirs: 0 wrong pixels$/m);
    owner.child.stdin?.end();
    const { stdout: after } = await owner.finished();
    assert.match(after, /^\d+ changed pixels, 1 users$/m);
  });

  it('are used by a GTK 3 program, and given up with it', async () => {
    {
      await using _zenity = stage.start('bridged', 'zenity', ['--info', '--text', 'Shared memory']);
      await eventually('the bridge has attached a segment', () => mappedBy(stage.bridge.pid) > 0);
    }
    await eventually('no segment is left', () => mappedBy(stage.bridge.pid) === 0);
  });

  it('are not what a Qt program uses: its segments pass as descriptors', async () => {
    const { command } = stage.bridge;
    {
      await using dialog = stage.start('bridged', 'pinentry-qt', ['--no-global-grab']);
      dialog.child.stdin?.write('SETDESC Shared memory\nMESSAGE\n');
      await eventually('the dialog is drawn', async () => Number((await attack(stage.host.env, 'picture'))['edges']) > 1000);
    }
    await eventually('a descriptor went to it', () => jsonLines(command.stdout).some(({ fdsToClient }) => Number(fdsToClient) > 0));
  });

  it('are used by x11perf, which draws with them', async () => {
    const { code, stdout, stderr } = await stage.run('bridged', 'x11perf', ['-repeat', '1', '-reps', '50', '-shmput100', '-shmput500', '-shmget500']);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(`${stdout}${stderr}`, /[Ee]rror|not/);
    assert.equal([...stdout.matchAll(/ reps @/g)].length, 3, stdout);
  });
});

overEveryChannel(
  'with --shm fd, System V segments',
  (stage) => {
    it('are refused as by a server of another machine, and pixmaps may lie in others', async () => {
      assert.equal(await run(stage, 'bridged', 'pixmaps', '0', 1), 'error 10 of request 130.1\nfailed: attach\n');
    });
  },
  { args: ['--shm', 'fd'] },
);

overEveryChannel(
  'with --shm hide, MIT-SHM',
  (stage) => {
    it('is not there', async () => {
      const { stdout } = await stage.run('bridged', 'xdpyinfo', []);
      assert.doesNotMatch(stdout, /MIT-SHM/);
    });
  },
  { args: ['--shm', 'hide'] },
);

async function run(stage: Stage, side: Side, script: string, count = '0', wanted = 0): Promise<string> {
  const { code, stdout, stderr } = await stage.run(side, SEGMENTS, [script, count]);
  assert.equal(code, wanted, `${stdout}${stderr}`);
  return stdout;
}

/** System V segments that a process has attached. */
function mappedBy(pid: number): number {
  return readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter((line) => line.includes('/SYSV')).length;
}
