// Programs that draw: pixel-identical screens directly and through the bridge.

import { writeFileSync } from 'node:fs';
import { assertSamePicture } from './support/pictures.js';
import { overEveryChannel } from './support/stage.js';

/** Two clocks in one picture can only be compared if they show the same second. */
const STOPPED_CLOCK = { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: '2024-03-14 10:09:36' };
const LINES = Array.from({ length: 22 }, (_, line) => String.fromCharCode(...Array.from({ length: 75 }, (__, column) => 33 + ((line * 7 + column) % 94))));

overEveryChannel('programs that draw', (stage) => {
  it('xterm shows the same text', async () => {
    const text = stage.folder.file('text');
    writeFileSync(text, `${LINES.join('\r\n')}\r\n`);
    await assertSamePicture(stage, { program: 'xterm', args: ['-geometry', '80x24+20+20', '-e', 'sh', '-c', `cat ${text}; exec sleep 1000`], edges: 10_000 });
  });

  it('xclock shows the same time', async () => {
    await assertSamePicture(stage, { program: 'xclock', args: ['-analog', '-update', '1', '-geometry', '400x400+20+20'], env: STOPPED_CLOCK, edges: 1000 });
  });

  it('xeyes look the same way', async () => {
    await assertSamePicture(stage, { program: 'xeyes', args: ['-geometry', '300x200+100+100'], edges: 500 });
  });

  it('a GTK 3 program shows the same dialog', async () => {
    await assertSamePicture(stage, { program: 'zenity', args: ['--info', '--width', '400', '--title', 'x11bridge', '--text', 'The quick brown fox\njumps over the lazy dog'], edges: 1000 });
  });

  it('a Qt program shows the same dialog', async () => {
    const dialog = 'SETTITLE x11bridge\nSETDESC The quick brown fox%0Ajumps over the lazy dog\nSETOK Fine\nMESSAGE\n';
    await assertSamePicture(stage, { program: 'pinentry-qt', args: ['--no-global-grab'], input: dialog, edges: 1000 });
  });
});
