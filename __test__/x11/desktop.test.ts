// Parts of a desktop that programs meet on the X server: its system tray, and its input method.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { eventually, finish, Running } from '../support/processes.js';
import { assertSameScreens, beside } from './support/pictures.js';
import { clientEnv, overEveryChannel, SIDES, type Side, type Stage } from './support/stage.js';

/** The keys of a Korean keyboard, by their Latin letters, and what they compose. */
const KEYS = 'gksrmf';
const COMPOSED = '한글';

overEveryChannel('a desktop', (stage) => {
  it('takes icons into its tray', async () => {
    const trays = SIDES.map((side) => onServer(stage, side, 'trayer', ['--edge', 'top', '--align', 'left', '--widthtype', 'pixel', '--width', '200', '--height', '24']));
    await beside(trays, async () => {
      for (const side of SIDES) await eventually('the tray is there', () => shows(stage, side, /"trayer"/));
      const icons = SIDES.map((side) => stage.start(side, 'yad', ['--notification', '--image=dialog-information', '--text=hello']));
      await beside(icons, async () => {
        for (const side of SIDES) await eventually('the icon is in the tray', () => shows(stage, side, /"panel"[^]*^ {10,}0x\w+ "YAD"/m));
        await assertSameScreens(stage, [...trays, ...icons], 300);
      });
    });
  });

  it('composes text by its input method', async () => {
    const locale = await koreanLocale(stage);
    writeFileSync(stage.folder.file('.uim'), `(define default-im-name 'byeoru)\n(define-key byeoru-on-key? '("<Shift> "))\n`);
    for (const side of SIDES) {
      await using method = onServer(stage, side, 'uim-xim', ['--engine=byeoru'], locale);
      await eventually('the input method is there', async () => /@server=uim/.test((await stage.run(side, 'xprop', ['-root', 'XIM_SERVERS'])).stdout));
      assert.equal(await typed(stage, side, { ...locale, XMODIFIERS: '@im=uim' }), `${COMPOSED}\n`, `${side}: ${method.stderr}`);
    }
  });
});

/** What arrives in an xterm when the keys are pressed in composition. */
async function typed(stage: Stage, side: Side, env: NodeJS.ProcessEnv): Promise<string> {
  const [ready, written] = [stage.folder.file(`ready-${side}`), stage.folder.file(`written-${side}`)];
  await using _ = stage.start(side, 'xterm', ['-u8', '-geometry', '80x24+20+20', '-e', 'sh', '-c', `: > ${ready}; cat > ${written}.part; mv ${written}.part ${written}`], env);
  await eventually('the shell in xterm runs', () => existsSync(ready));
  // No window manager gives focus: the keys go where the pointer is.
  const place = ['search', '--sync', '--onlyvisible', '--class', 'xterm', 'mousemove', '--window', '%1', '100', '100'];
  for (const keys of [place, ['key', 'shift+space'], ['type', '--delay', '20', KEYS], ['key', 'Return'], ['key', 'ctrl+d']]) {
    assert.equal((await stage.run(side, 'xdotool', keys)).code, 0);
  }
  await eventually('the shell in xterm has written its file', () => existsSync(written));
  return readFileSync(written, 'utf8');
}

/** Compiles the locale; input methods serve no programs of other languages. */
async function koreanLocale(stage: Stage): Promise<NodeJS.ProcessEnv> {
  const { code, stderr } = await finish('localedef', ['-i', 'ko_KR', '-f', 'UTF-8', stage.folder.file('ko_KR.UTF-8')]);
  assert.equal(code, 0, stderr);
  return { LOCPATH: stage.folder.path, LANG: 'ko_KR.UTF-8', LC_ALL: 'ko_KR.UTF-8' };
}

/** Starts a part of the desktop itself, which is no client of the bridge. */
function onServer(stage: Stage, side: Side, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  return new Running(program, args, { env: { ...serverEnv(stage, side), ...env }, cwd: stage.folder.path, limitMs: 600_000 });
}

async function shows(stage: Stage, side: Side, pattern: RegExp): Promise<boolean> {
  return pattern.test((await finish('xwininfo', ['-root', '-tree'], { env: serverEnv(stage, side) })).stdout);
}

function serverEnv(stage: Stage, side: Side): NodeJS.ProcessEnv {
  const { display, xauthority } = stage.server(side);
  return clientEnv(display, xauthority, stage.folder.path);
}
