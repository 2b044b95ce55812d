// Input: keys that one client makes reach the program of another.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { eventually } from '../support/processes.js';
import { overEveryChannel, SIDES } from './support/stage.js';

const TYPED = 'The Quick (brown) fox; 0123456789 {jumps} over: "it" & ~ /more/';

overEveryChannel('input', (stage) => {
  for (const side of SIDES) {
    it(`what a ${side} xdotool types arrives in a ${side} xterm`, async () => {
      const [ready, written] = [stage.folder.file(`ready-${side}`), stage.folder.file(`written-${side}`)];
      await using xterm = stage.start(side, 'xterm', ['-geometry', '80x24+20+20', '-e', 'sh', '-c', `: > ${ready}; cat > ${written}.part; mv ${written}.part ${written}`]);
      await eventually('the shell in xterm runs', () => existsSync(ready));
      // No window manager gives focus: the keys go where the pointer is.
      const place = ['search', '--sync', '--onlyvisible', '--class', 'xterm', 'mousemove', '--window', '%1', '100', '100'];
      const typed = await stage.run(side, 'xdotool', [...place, 'type', '--delay', '4', `${TYPED}\n`]);
      assert.equal(typed.code, 0, typed.stderr);
      assert.equal((await stage.run(side, 'xdotool', ['key', 'ctrl+d'])).code, 0);
      await eventually('the shell in xterm has written its file', () => existsSync(written));
      assert.equal(readFileSync(written, 'utf8'), `${TYPED}\n`);
      assert.equal((await xterm.finished()).code, 0);
    });
  }
});
