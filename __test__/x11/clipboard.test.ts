// The clipboard, with more than one property can hold: both programs then speak INCR with each other through the server.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { eventually, finish, Running } from '../support/processes.js';
import { clientEnv, overEveryChannel, type Stage } from './support/stage.js';

const MEBIBYTES = 16;

/** Both sides of one server: `host` is connected to it directly, `bridged` through the bridge. */
type Place = 'host' | 'bridged';

overEveryChannel('the clipboard', (stage) => {
  const pairs: readonly [Place, Place][] = [['bridged', 'host'], ['host', 'bridged'], ['bridged', 'bridged']];
  for (const [owner, reader] of pairs) {
    it(`carries ${MEBIBYTES} MiB from a ${owner} xclip to a ${reader} one`, async () => {
      await assertCarried(stage, owner, reader);
    });
  }
});

async function assertCarried(stage: Stage, owner: Place, reader: Place): Promise<void> {
  const [source, target] = [stage.folder.file('source'), stage.folder.file('target')];
  writeFileSync(source, randomBytes(MEBIBYTES << 19).toString('hex'));
  // -quiet keeps it in the foreground, -loops 1 ends it when the text has been fetched.
  const args = ['-quiet', '-verbose', '-selection', 'clipboard', '-loops', '1', '-in', source];
  await using copying = new Running('xclip', args, { env: placeEnv(stage, owner) });
  await copying.untilOutput(/Waiting for/, 'stderr');
  // xclip says that it waits before the server has heard so.
  await eventually('the clipboard has something', async () => {
    const output = openSync(target, 'w');
    const { code, stderr } = await finish('xclip', ['-selection', 'clipboard', '-out'], { env: placeEnv(stage, reader), stdio: ['ignore', output, 'pipe'] });
    closeSync(output);
    assert.match(`${code} ${stderr}`, /^0 |target STRING not available/);
    return code === 0;
  });
  assert.equal(digest(target), digest(source));
  assert.equal((await copying.finished()).code, 0);
}

function placeEnv(stage: Stage, place: Place): NodeJS.ProcessEnv {
  return place === 'bridged' ? stage.env('bridged') : clientEnv(stage.host.display, stage.host.xauthority, stage.folder.path);
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
