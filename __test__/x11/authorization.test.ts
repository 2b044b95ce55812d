// Who may connect: the bridge has a cookie of its own, and keeps the server's to itself.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { finish } from '../support/processes.js';
import { attack } from './support/attack.js';
import { clientEnv, overEveryChannel, serve, stopBridge } from './support/stage.js';

overEveryChannel('authorization', (stage) => {
  it('a client without a cookie is refused in the words of a set-up failure', async () => {
    const { refused } = await attack(stage.env('bridged'), 'auth', '--cookie', 'none');
    assert.match(String(refused), /authori[sz]ation|cookie/i);
  });

  it('a client with a wrong cookie is refused in the words of a set-up failure', async () => {
    const { refused } = await attack(stage.env('bridged'), 'auth', '--cookie', 'wrong');
    assert.match(String(refused), /authori[sz]ation|cookie/i);
  });

  it("the server's cookie does not open the bridge, nor does the bridge's open the server", async () => {
    const swapped = [
      clientEnv(stage.bridge.display, await relabelled(stage.host.xauthority, stage.host.display, stage.bridge.display), stage.folder.path),
      clientEnv(stage.host.display, await relabelled(stage.bridge.xauthority, stage.bridge.display, stage.host.display), stage.folder.path),
    ];
    for (const env of swapped) assert.ok(typeof (await attack(env, 'watch'))['error'] === 'string');
  });

  it("the server's cookie is nowhere in the file that clients get, and that file is private", () => {
    const { cookie } = stage.host;
    assert.ok(cookie);
    assert.ok(!readFileSync(stage.bridge.xauthority).includes(Buffer.from(cookie, 'hex')));
    assert.equal(statSync(stage.bridge.xauthority).mode & 0o777, 0o600);
  });

  it("when the bridge has no cookie that the server takes, its clients are told so in the server's words", async () => {
    const wrong = await relabelled(stage.direct.xauthority, stage.direct.display, stage.host.display);
    const bridge = await serve({ env: { ...stage.host.env, XAUTHORITY: wrong } }, ['--channel', stage.channel]);
    try {
      const env = clientEnv(bridge.display, bridge.xauthority, stage.folder.path);
      assert.deepEqual(await attack(env, 'watch'), { error: 'Invalid MIT-MAGIC-COOKIE-1 key' });
    } finally {
      await stopBridge(bridge);
    }
  });

  for (const name of [':N', ':N.0', 'unix:N', 'unix:N.0', '/tmp/.X11-unix/XN']) {
    it(`the server is found, and its cookie, under the name ${name}`, async () => {
      const display = name.replace('N', stage.host.display.slice(1));
      const bridge = await serve(stage.host, ['--channel', stage.channel, '--host-display', display]);
      try {
        const env = clientEnv(bridge.display, bridge.xauthority, stage.folder.path);
        assert.deepEqual(await attack(env, 'churn', '--count', '2'), { connections: 2 });
      } finally {
        await stopBridge(bridge);
      }
    });
  }

  it('clients find the abstract socket too', async () => {
    const env = { ...stage.env('bridged'), DISPLAY: `@/tmp/.X11-unix/X${stage.bridge.display.slice(1)}` };
    assert.deepEqual(await attack(env, 'churn', '--count', '3'), { connections: 3 });
  });

  it('a bridge in front of a bridge carries a client', async () => {
    const inner = clientEnv(stage.bridge.display, stage.bridge.xauthority, stage.folder.path);
    const outer = await serve({ env: { ...process.env, ...inner } }, ['--channel', stage.channel]);
    try {
      const sight = await attack(clientEnv(outer.display, outer.xauthority, stage.folder.path), 'session');
      assert.deepEqual(sight, await attack(stage.env('direct'), 'session'));
    } finally {
      await stopBridge(outer);
    }
  });

  /** A copy of an Xauthority file that gives its cookie for another display. */
  async function relabelled(file: string | undefined, from: string, to: string): Promise<string> {
    assert.ok(file);
    const copy = stage.folder.file(`cookie-${to.slice(1)}`);
    const list = await finish('xauth', ['-f', file, 'list', from]);
    const cookie = list.stdout.trim().split(/\s+/).at(-1) ?? '';
    assert.match(cookie, /^[0-9a-f]{32}$/, list.stderr);
    assert.equal((await finish('xauth', ['-q', '-f', copy, 'add', to, '.', cookie])).code, 0);
    return copy;
  }
});
