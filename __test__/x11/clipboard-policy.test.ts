// The clipboard under a policy: real programs on both sides, in each direction, with as much as may pass and with more.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { eventually, finish, Running, type Finished } from '../support/processes.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';
import { TemporaryFolder } from '../support/temporary.js';
import { clientEnv, serve, stopBridge, type ServedBridge } from './support/stage.js';

type Place = 'host' | 'bridged';
const BYTES_MAX = 1000;
/** Beyond what the server takes as one property, so that it goes in pieces. */
const INCR_BYTES = 5 << 20;

describe('the clipboard of a policy', () => {
  let host: Xvfb;
  let folder: TemporaryFolder;
  before(async () => {
    host = await startXvfb({ auth: true });
    folder = new TemporaryFolder();
  });
  after(async () => {
    await host.stop();
    folder[Symbol.dispose]();
  });

  /** Serves under a policy with these lines in place of its own. */
  async function under(lines: string, act: (env: (place: Place) => NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
    const policy = folder.file('policy.toml');
    writeFileSync(policy, `base = "guest"\n${lines}\n`);
    const bridge: ServedBridge = await serve(host, ['--policy', policy]);
    try {
      await act((place) => (place === 'host' ? clientEnv(host.display, host.xauthority, folder.path) : clientEnv(bridge.display, bridge.xauthority, folder.path)));
    } finally {
      await stopBridge(bridge);
    }
  }

  const paste = (env: NodeJS.ProcessEnv): Promise<Finished> => finish('timeout', ['5', 'xclip', '-selection', 'clipboard', '-out'], { env, limitMs: 60_000 });

  /** Copies a text at one place, and returns what is pasted at another; undefined when nothing comes. */
  async function carried(env: (place: Place) => NodeJS.ProcessEnv, from: Place, to: Place, text: string): Promise<string | undefined> {
    const source = folder.file('source');
    writeFileSync(source, text);
    await using owner = new Running('xclip', ['-quiet', '-selection', 'clipboard', '-in', source], { env: env(from), limitMs: 60_000 });
    await owner.untilOutput(/Waiting for/, 'stderr');
    // Where it was copied it can be pasted, whatever the policy: so it is there.
    await eventually('it can be pasted where it was copied', async () => (await paste(env(from))).stdout === text);
    const { code, stdout } = await paste(env(to));
    return code === 0 && stdout !== '' ? stdout : undefined;
  }

  const directions: readonly [mode: string, into: boolean, out: boolean, own: boolean][] = [
    ['both', true, true, true],
    ['off', false, false, true],
    ['in', true, false, false],
    ['out', false, true, false],
  ];
  for (const [mode, into, out, own] of directions) {
    it(`lets ${mode} pass, and nothing else`, async () => {
      await under(`clipboard = "${mode}"`, async (env) => {
        assert.equal(await carried(env, 'host', 'bridged', `copied outside ${mode}`), into ? `copied outside ${mode}` : undefined);
        if (own) assert.equal(await carried(env, 'bridged', 'bridged', `copied inside ${mode}`), `copied inside ${mode}`);
        const source = folder.file('inside');
        writeFileSync(source, `from inside ${mode}`);
        await using owner = new Running('xclip', ['-quiet', '-selection', 'clipboard', '-in', source], { env: env('bridged'), limitMs: 60_000 });
        await owner.untilOutput(/Waiting for/, 'stderr');
        if (out) await eventually('it can be pasted outside', async () => (await paste(env('host'))).stdout === `from inside ${mode}`);
        else assert.equal((await paste(env('host'))).stdout, '');
      });
    });
  }

  it('carries out what is as large as it may be, and nothing that is larger, in pieces neither; what comes in is not measured', async function () {
    this.timeout(120_000);
    await under(`clipboard = "both"\nclipboard-max = ${BYTES_MAX}`, async (env) => {
      for (const [length, passes] of [[BYTES_MAX - 1, true], [BYTES_MAX, true], [BYTES_MAX + 1, false], [INCR_BYTES, false]] as const) {
        const text = 'x'.repeat(length);
        const source = folder.file('source');
        writeFileSync(source, text);
        await using owner = new Running('xclip', ['-quiet', '-selection', 'clipboard', '-in', source], { env: env('bridged'), limitMs: 100_000 });
        await owner.untilOutput(/Waiting for/, 'stderr');
        if (passes) await eventually(`${length} bytes can be pasted outside`, async () => (await paste(env('host'))).stdout.length === length);
        else assert.equal((await paste(env('host'))).stdout, '', `${length} bytes`);
      }
      const large = 'y'.repeat(INCR_BYTES);
      assert.equal((await carried(env, 'host', 'bridged', large))?.length, INCR_BYTES);
    });
  });
});
