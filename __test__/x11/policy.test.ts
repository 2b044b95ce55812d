// What a policy keeps clients from: every attack that there is, from a client of the bridge against one of the host's.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { attackWithin } from './support/attack.js';
import { assertSamePicture } from './support/pictures.js';
import { eventually, finish, type Running } from '../support/processes.js';
import { overEveryChannel, type Stage } from './support/stage.js';

/** Says in its title that it is there, and what was typed. */
const PAGE = '<title>the page is here</title><h1>Hello</h1><script>onkeydown = (event) => { document.title = `typed ${event.key}`; };</script>';

interface Attacks {
  readonly attacks: Readonly<Record<string, string>>;
  readonly complaints: Readonly<Record<string, unknown>>;
}

overEveryChannel('the policy open', (stage) => {
  it('lets every attack succeed, so that the others can be tested by them', async () => {
    const { attacks } = await attacksOn(stage);
    assert.deepEqual(Object.entries(attacks).filter(([, outcome]) => outcome !== 'succeeded'), []);
  });
});

for (const policy of ['guest', 'isolated'] as const) overEveryChannel(
  `the policy ${policy}`,
  (stage) => {
    it('lets no attack succeed, and answers as a server does', async () => {
      const { attacks, complaints } = await attacksOn(stage);
      const outcomes = Object.entries(attacks).filter(([name]) => policy === 'isolated' || !name.startsWith('isolated: '));
      assert.ok(outcomes.length > 60, `only ${outcomes.length} attacks`);
      assert.deepEqual(outcomes.filter(([, outcome]) => outcome !== 'refused'), []);
      assert.deepEqual(complaints, {});
    });

    it('lets clients of one bridge copy and paste among each other', async () => {
      await using owner = await copied(stage, 'What one copies, the other pastes');
      await eventually('it can be pasted', async () => (await stage.run('bridged', 'xclip', ['-o', '-selection', 'clipboard'])).stdout === 'What one copies, the other pastes');
      owner.child.kill('SIGTERM');
    });

    it('lets programs work: xterm', async () => {
      const text = stage.folder.file('text');
      writeFileSync(text, 'The quick brown fox jumps over the lazy dog\r\n'.repeat(20));
      await assertSamePicture(stage, { program: 'xterm', args: ['-geometry', '80x24+20+20', '-e', 'sh', '-c', `cat ${text}; exec sleep 1000`], edges: 5000 });
    });

    it('lets programs work: a GTK 3 program', async () => {
      await assertSamePicture(stage, { program: 'zenity', args: ['--info', '--width', '400', '--title', 'x11bridge', '--text', 'The quick brown fox\njumps over the lazy dog'], edges: 1000 });
    });

    it('lets programs work: a browser, which also gets what is typed', async function () {
      this.timeout(240_000);
      const page = stage.folder.file('page.html');
      writeFileSync(page, PAGE);
      // Root needs --no-sandbox; the test's own folder has no secrets to keep in a ring.
      const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--password-store=basic', `--user-data-dir=${stage.folder.file('chromium')}`, `--app=file://${page}`, '--window-size=500,400'];
      await using browser = stage.start('bridged', 'chromium', args);
      const titled = (title: string) => async (): Promise<boolean> => {
        assert.equal(browser.child.exitCode, null, browser.stderr);
        return (await finish('xdotool', ['search', '--onlyvisible', '--name', title], { env: stage.host.env })).code === 0;
      };
      await eventually('it shows its page', titled('the page is here'), 200_000);
      // By another client, as the browser's own side can type nothing.
      await eventually('it has heard the key', async () => {
        await finish('xdotool', ['search', '--onlyvisible', '--name', 'the page is here', 'windowfocus', 'key', 'q'], { env: stage.host.env });
        return await titled('typed q')();
      }, 100_000);
    });

    it('lets programs work: a Qt program', async () => {
      const dialog = 'SETTITLE x11bridge\nSETDESC The quick brown fox%0Ajumps over the lazy dog\nSETOK Fine\nMESSAGE\n';
      await assertSamePicture(stage, { program: 'pinentry-qt', args: ['--no-global-grab'], input: dialog, edges: 1000 });
    });
  },
  { args: ['--policy', policy] },
);

/** Puts a text into the clipboard from behind the bridge, and waits until it is there. */
async function copied(stage: Stage, text: string): Promise<Running> {
  const owner = stage.start('bridged', 'xclip', ['-i', '-quiet', '-selection', 'clipboard']);
  owner.child.stdin?.end(text);
  await owner.untilOutput(/Waiting for selection requests/, 'stderr');
  return owner;
}

/** One client attacks from behind the bridge, the other is the host's own. */
async function attacksOn(stage: Stage): Promise<Attacks> {
  const host = stage.host.env;
  const env = stage.env('bridged');
  const sight = await attackWithin(60_000, env, 'policy', '--victim', String(host['DISPLAY']), '--victim-xauthority', String(host['XAUTHORITY']));
  assert.equal(sight['error'], undefined);
  return sight as unknown as Attacks;
}
