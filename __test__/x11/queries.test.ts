// Programs that ask the server and print what it answers: the same text directly and through the bridge.

import assert from 'node:assert/strict';
import { eventually } from '../support/processes.js';
import { comparableQueries, withoutHidden } from './support/queries.js';
import { HIDDEN, overEveryChannel, SIDES, type Stage } from './support/stage.js';

overEveryChannel('programs that query', (stage) => {
  it('xdpyinfo -queryExtensions prints the same, but for the name of the display and the hidden extensions', async () => {
    const [direct, bridged] = await outputs(stage, 'xdpyinfo', ['-queryExtensions']);
    assert.match(bridged, /MIT-SHM/, 'what the channel carries must be there');
    assert.deepEqual(comparableQueries(bridged), withoutHidden(comparableQueries(direct), HIDDEN[stage.channel]));
  });

  it('xprop -root prints what another program has set', async () => {
    for (const side of SIDES) {
      const { code } = await stage.run(side, 'xprop', ['-root', '-f', 'X11BRIDGE_TEST', '8s', '-set', 'X11BRIDGE_TEST', 'déjà vu'.repeat(100)]);
      assert.equal(code, 0);
    }
    const [direct, bridged] = await outputs(stage, 'xprop', ['-root']);
    assert.match(direct, /X11BRIDGE_TEST/);
    assert.equal(bridged, direct);
  });

  it('xwininfo -root -tree prints the same tree of windows', async () => {
    await using direct = stage.start('direct', 'xclock', ['-geometry', '120x90+30+40']);
    await using bridged = stage.start('bridged', 'xclock', ['-geometry', '120x90+30+40']);
    await eventually('both clocks are in their trees', async () => {
      const trees = await outputs(stage, 'xwininfo', ['-root', '-tree']);
      return trees.every((tree) => tree.includes('120x90+30+40'));
    });
    const [directTree, bridgedTree] = (await outputs(stage, 'xwininfo', ['-root', '-tree'])).map(withoutClientNumbers);
    assert.equal(bridgedTree, directTree);
    assert.deepEqual([direct.child.exitCode, bridged.child.exitCode], [null, null]);
  });

  it('xlsatoms lists the same atoms', async () => {
    // Their numbers depend on which of two programs was first to name them.
    const [direct, bridged] = (await outputs(stage, 'xlsatoms', [])).map(atomNames);
    assert.ok(direct && direct.length > 68, 'more than the predefined atoms');
    assert.deepEqual(bridged, direct);
  });
});

async function outputs(stage: Stage, program: string, args: readonly string[]): Promise<[string, string]> {
  const [direct, bridged] = await Promise.all(SIDES.map((side) => stage.run(side, program, args)));
  assert.ok(direct && bridged);
  assert.deepEqual([direct.code, bridged.code], [0, 0], `${direct.stderr}${bridged.stderr}`);
  return [direct.stdout, bridged.stdout];
}

/** The upper bits of an id say how many clients came before. */
function withoutClientNumbers(text: string): string {
  return text.replaceAll(/0x[0-9a-f]+/g, (id) => (Number(id) & 0x1fffff).toString(16));
}

function atomNames(text: string): string[] {
  return text.trimEnd().split('\n').map((line) => line.split('\t')[1] ?? '').sort();
}
