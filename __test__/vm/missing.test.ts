// What the guest half says where the way to the host is missing or leads nowhere, and what `auto` takes then.

import assert from 'node:assert/strict';
import { after, before } from 'mocha';
import { COMMAND, startX11bridge } from '../support/command.js';
import { eventually, type Finished, type Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { clientEnv } from '../x11/support/stage.js';
import { inTheWholeRun } from './support/extent.js';
import { TestGuest } from './support/guest.js';
import { BOOT_LIMIT_MS } from './support/place.js';
import { qemuWithScreen } from './support/screen.js';

inTheWholeRun(() => {
  describe('a guest with a second virtio-gpu device, for a screen, whose host half stops', function () {
    this.timeout(2 * BOOT_LIMIT_MS);
    let server: Xvfb;
    let folder: TemporaryFolder;
    let half: Running;
    let guest: TestGuest;

    before(async () => {
      server = await startXvfb({ auth: true });
      folder = new TemporaryFolder();
      const env = clientEnv(server.display, server.xauthority, folder.path);
      const socket = folder.file('gpu.sock');
      half = startX11bridge(['host', '--json', '--socket', socket], { env, limitMs: 10 * BOOT_LIMIT_MS });
      await half.untilOutput(/"event":"ready"/);
      guest = await TestGuest.boot({ args: ['--host-socket', socket, '--qemu', qemuWithScreen(folder)], env });
    });
    after(async () => {
      half.child.kill('SIGCONT');
      await guest[Symbol.asyncDispose]();
      await half[Symbol.asyncDispose]();
      await server.stop();
      folder[Symbol.dispose]();
    });

    /** Runs a line of shell in a bridge of its own, inside the guest. */
    const bridge = (options: string, line = 'true'): Promise<Finished> => guest.run(`'${process.execPath}' '${COMMAND}' run ${options} -- sh -c '${line}'`);

    /** What both ways of choosing a channel say: asked for it, and looking for the best there is. */
    async function assertMissing(why: string): Promise<void> {
      const asked = await bridge('--channel virtgpu');
      assert.equal(asked.code, 1, asked.stderr);
      assert.match(asked.stderr, new RegExp(`^x11bridge: ${why}\n$`));
      const next = await bridge('--log-level info');
      assert.equal(next.code, 0, next.stderr);
      assert.match(next.stderr, new RegExp(`info: channel socket: .*; not virtgpu: ${why}; not vsock: `));
    }

    it('takes the device that leads to the host, and says of the other what it lacks', async () => {
      const { stdout } = await guest.run('ls /dev/dri/renderD*');
      const nodes = stdout.trim().split('\n');
      assert.equal(nodes.length, 2);
      const taken = await bridge('--channel virtgpu --log-level info', 'xdpyinfo > /dev/null');
      assert.equal(taken.code, 0, taken.stderr);
      const named = /the virtio-gpu device of (\S+) leads to the X11 channel of x11bridge/.exec(taken.stderr)?.[1];
      const other = nodes.find((node) => node !== named) ?? '';
      // Else the one that is taken would only be the first.
      assert.ok(other < (named ?? ''), stdout);
      const refused = await bridge(`--channel virtgpu --render-node ${other}`);
      assert.deepEqual(
        [refused.code, refused.stderr],
        [1, `x11bridge: the virtio-gpu device of ${other} takes no capset for a context; it needs Linux 5.16 or newer and a host with context initialization\n`],
      );
    });

    it('says that a host which has stopped does not answer, and reaches it again when it goes on', async () => {
      half.child.kill('SIGSTOP');
      await assertMissing(String.raw`the host of /dev/dri/renderD\d+ did not answer within 2\.5 s; see whether its half is running`);
      half.child.kill('SIGCONT');
      await eventually('it is reached', async () => (await bridge('--channel virtgpu', 'xdpyinfo > /dev/null')).code === 0);
    });

    it('asks for a device where there is none', async () => {
      await guest.run('mv /dev/dri /dev/away');
      await assertMissing('there is no render node in /dev/dri; give the virtual machine a virtio-gpu device, and load the module virtio_gpu');
    });
  });
});
