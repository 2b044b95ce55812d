// The guard on the host: a policy that a guest can't get round, on a socket that a virtual machine or a container is pointed at.

import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'mocha';
import { assertOneSentence, exists, ROOT, startX11bridge, x11bridge, type Ready } from '../support/command.js';
import { Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { attack, attackWithin } from './support/attack.js';
import { clientEnv } from './support/stage.js';

const SEGMENTS = join(ROOT, 'build/shims/segments');

describe('the guard', () => {
  const folder = new TemporaryFolder();
  const path = folder.file('guest.sock');
  let host: Xvfb;
  let guard: Running;
  let ready: Ready;
  before(async () => {
    host = await startXvfb({ auth: true });
    guard = startX11bridge(['guard', '--json', '--socket', path], { env: host.env, limitMs: 280_000 });
    ready = JSON.parse((await guard.untilOutput(/^\{.*\}$/m))[0]) as Ready;
  });
  after(async () => {
    guard.child.kill('SIGTERM');
    await guard.finished();
    await host.stop();
    folder[Symbol.dispose]();
  });

  it('listens on a socket that only its owner may open, and makes no cookie', () => {
    assert.deepEqual({ ...ready }, { event: 'ready', display: path, channel: 'socket' });
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('takes clients without a cookie, with a wrong one, and with that of the host', async () => {
    for (const xauthority of [undefined, strange(folder), host.xauthority]) {
      const sight = await attack(clientEnv(path, xauthority, folder.path), 'session');
      assert.equal(sight['error'], undefined, String(xauthority));
    }
  });

  it('has the policy guest by default', async () => {
    const args = ['--victim', host.display, '--victim-xauthority', String(host.xauthority)];
    const { attacks, complaints } = await attackWithin(60_000, clientEnv(path, undefined, folder.path), 'policy', ...args);
    assert.deepEqual(Object.entries(attacks as object).filter(([name, outcome]) => outcome !== 'refused' && !name.startsWith('isolated: ')), []);
    assert.deepEqual(complaints, {});
  });

  it('passes descriptors both ways', async () => {
    const env = clientEnv(path, undefined, folder.path);
    assert.deepEqual(await attack(env, 'attach-fd'), { shm: 'present', drawn: true });
    assert.deepEqual(await attack(env, 'create-segment'), { shm: 'present', fds: [1, 0], drawn: true });
  });

  it('takes no number of a System V segment for one of this machine', async () => {
    await using owner = new Running(SEGMENTS, ['hold'], { env: host.env, stdio: ['pipe', 'pipe', 'pipe'] });
    const [number = ''] = await owner.untilOutput(/^\d+$/m);
    const outcomes = [host.env, clientEnv(path, undefined, folder.path)].map((env) => attack(env, 'attach-number', '--number', number));
    // The server itself takes it.
    assert.deepEqual(await Promise.all(outcomes), [{ shm: 'present', code: 0 }, { shm: 'present', code: 10 }]);
  });

  it('does not take a path away from another guard, nor a file that is no socket', async () => {
    for (const [taken, why] of [[path, /address already in use/], [folder.file('file'), /file exists/]] as const) {
      if (!exists(taken)) strange(folder, 'file');
      const { code, stderr } = await x11bridge(['guard', '--socket', taken], { env: host.env });
      assertOneSentence(stderr);
      assert.match(stderr, why);
      assert.equal(code, 1);
    }
  });

  it('refuses to be a display and a socket at once', async () => {
    const { code, stderr } = await x11bridge(['guard', '--socket', folder.file('other'), '--display', ':77'], { env: host.env });
    assertOneSentence(stderr);
    assert.equal(code, 2);
  });

  it('serves a display with a cookie of its own, and removes everything at its end', async () => {
    const second = startX11bridge(['guard', '--json', '--policy', 'open'], { env: host.env });
    const { display, xauthority } = JSON.parse((await second.untilOutput(/^\{.*\}$/m))[0]) as Ready;
    assert.match(String((await attack(clientEnv(display, undefined, folder.path), 'session'))['error']), /Authorization required/);
    assert.equal((await attack(clientEnv(display, xauthority, folder.path), 'session'))['error'], undefined);
    second.child.kill('SIGTERM');
    assert.equal((await second.finished()).code, 0);
    assert.ok(!exists(xauthority));
  });
});

/** A file that is an Xauthority file of nobody's. */
function strange(folder: TemporaryFolder, name = 'strange'): string {
  const field = (text: string): Buffer => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)]);
  const entry = Buffer.concat([Buffer.from([0xff, 0xff]), field(''), field(''), field('MIT-MAGIC-COOKIE-1'), field('0123456789abcdef')]);
  writeFileSync(folder.file(name), entry);
  return folder.file(name);
}
