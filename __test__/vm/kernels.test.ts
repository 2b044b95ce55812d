// The kernels of Debian's suites, each in a guest of its own: a smaller set of tests for those that guests don't get by default.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readManifest, vmCacheFolder } from '../../dist/vm/cache.js';
import { finish } from '../support/processes.js';
import { clientProgram } from '../x11/support/attack.js';
import { comparableQueries, withoutHidden } from '../x11/support/queries.js';
import { inTheWholeRun } from './support/extent.js';
import { HIDDEN, STOPPED_CLOCK } from './support/expectations.js';
import { inOneGuest } from './support/place.js';
import { assertSamePicture } from './support/pictures.js';

const CACHE = vmCacheFolder(process.env);
const KERNELS = readManifest(CACHE).kernels;

inTheWholeRun(() => {
  for (const [name, { arch, folder }] of Object.entries(KERNELS)) {
    if (arch !== process.arch || name === '6.12') continue;
    inOneGuest(`a guest with Debian's kernel ${name}`, ['--kernel', join(CACHE, folder)], (place) => {
      it('is that kernel', async () => {
        const { stdout } = await place.guest.run('uname -r');
        assert.match(stdout, name === 'newest' ? /^\d+\.\d+/ : new RegExp(`^${name.replace('.', String.raw`\.`)}\\.`));
      });

      it('answers xdpyinfo as outside', async () => {
        const inside = await place.guest.run('xdpyinfo -queryExtensions');
        const outside = await finish('xdpyinfo', ['-queryExtensions'], { env: place.env(place.direct) });
        assert.equal(inside.code, 0, inside.stderr);
        assert.deepEqual(comparableQueries(inside.stdout), withoutHidden(comparableQueries(outside.stdout), HIDDEN));
      });

      it('shows the same clock', async () => {
        await assertSamePicture(place, { program: 'xclock', args: ['-analog', '-update', '1', '-geometry', '400x400+20+20'], env: STOPPED_CLOCK, edges: 1000 });
      });

      it('carries 50 clients at once', async () => {
        const { stdout, stderr } = await place.guest.run(`'${clientProgram('x11-attack')}' crowd --count 50`);
        assert.equal(stdout, '{"open":50}\n{"connections":50}\n', stderr);
      });
    });
  }
});
