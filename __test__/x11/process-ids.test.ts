// A window manager kills the process that a window names, when it takes the window for one of its own machine. A guest's numbers name others.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { eventually, finish, Running } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';
import { clientEnv, Stage, type StageOptions } from './support/stage.js';

/** Openbox sends SIGTERM to the process, or has the server close the connection where it can't tell whose it is. */
const CONFIGURATION = `<?xml version="1.0"?>
<openbox_config xmlns="http://openbox.org/3.4/rc"><keyboard><keybind key="F12"><action name="Kill"/></keybind></keyboard></openbox_config>`;

const POLICY = { mark: 'processes = "mark"\nmachine = "(elsewhere)"\n', remove: 'processes = "remove"\n' };

describe('the process id of a window', () => {
  it('leads a window manager to the process where everything is allowed, so that the others can be tested by it', async () => {
    assert.equal(await killedProcess({}), true);
  });

  for (const args of [['--policy', 'guest'], ['--policy', 'isolated']]) {
    it(`leads nowhere with ${args.join(' ')}`, async () => assert.equal(await killedProcess({ args }), false));
  }

  for (const [word, policy] of Object.entries(POLICY)) {
    it(`leads nowhere with processes = "${word}"`, async () => assert.equal(await killedProcess({ policy }), false));
  }
});

/** Lets Openbox kill a window from behind the bridge that names a process of this machine; whether that process dies of it. */
async function killedProcess({ args = [], policy }: StageOptions & { readonly policy?: string }): Promise<boolean> {
  using folder = new TemporaryFolder();
  const file = folder.file('policy.toml');
  if (policy !== undefined) writeFileSync(file, policy);
  const stage = new Stage('socket', { args: policy === undefined ? args : ['--policy', file] });
  await stage.open();
  try {
    return await killWindow(stage);
  } finally {
    await stage.close();
  }
}

async function killWindow(stage: Stage): Promise<boolean> {
  const host = clientEnv(stage.host.display, stage.host.xauthority, stage.folder.path);
  writeFileSync(stage.folder.file('rc.xml'), CONFIGURATION);
  await using manager = new Running('openbox', ['--config-file', stage.folder.file('rc.xml')], { env: host });
  await eventually('the window manager is there', async () => /window id/.test((await finish('xprop', ['-root', '_NET_SUPPORTING_WM_CHECK'], { env: host })).stdout));
  await using bystander = new Running('sleep', ['600']);
  const client = stage.start('bridged', 'xclock', ['-name', 'victim']);
  const window = (await untilWindow(stage)).trim();
  await name(stage, window, '_NET_WM_PID', '32c', String(bystander.pid));
  await name(stage, window, 'WM_CLIENT_MACHINE', '8s', hostname());
  // It looks at these properties when the window is mapped.
  for (const action of ['windowunmap', 'windowmap']) await stage.run('bridged', 'xdotool', [action, '--sync', window]);
  await finish('xdotool', ['windowfocus', '--sync', window], { env: host });
  await finish('xdotool', ['key', 'F12'], { env: host });
  await eventually('something was killed', async () => bystander.child.signalCode !== null || client.child.exitCode !== null || client.child.signalCode !== null);
  const killed = bystander.child.signalCode !== null;
  client.child.kill('SIGKILL');
  assert.equal(manager.child.exitCode, null);
  return killed;
}

async function untilWindow(stage: Stage): Promise<string> {
  let window = '';
  await eventually('the window is there', async () => {
    window = (await finish('xdotool', ['search', '--onlyvisible', '--classname', 'victim'], { env: clientEnv(stage.host.display, stage.host.xauthority, stage.folder.path) })).stdout;
    return /^\d+\s*$/.test(window);
  });
  return window;
}

/** Sets a property as a client of the bridge. */
async function name(stage: Stage, window: string, property: string, format: string, value: string): Promise<void> {
  const { stderr } = await stage.run('bridged', 'xprop', ['-id', window, '-f', property, format, '-set', property, value]);
  assert.equal(stderr, '');
}
