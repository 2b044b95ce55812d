import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Consumer } from '../support/consumer.js';
import { assertTyped } from '../support/typed-use.js';
import { startXvfb, type Xvfb } from '../support/xvfb.js';

const MEAN_OPTIONS = `{ hostDisplay: process.env.HOST, channel: 'socket' }`;
const USE = `
  const bridge = (await startBridge(${MEAN_OPTIONS}))._unsafeUnwrap();
  console.log(bridge.display);
  await bridge.close();`;

describe('the package', () => {
  let server: Xvfb;
  let esm: Consumer;
  let cjs: Consumer;
  before(async () => {
    server = await startXvfb();
    [esm, cjs] = await Promise.all([Consumer.create('module'), Consumer.create('commonjs')]);
  });
  after(async () => {
    for (const consumer of [esm, cjs]) consumer[Symbol.dispose]();
    await server.stop();
  });

  const env = (): NodeJS.ProcessEnv => ({ ...process.env, HOST: server.display });

  it('is imported by ES modules', async () => {
    esm.write('use.js', `import { startBridge } from 'x11bridge';${USE}`);
    const { code, stdout, stderr } = await esm.run(process.execPath, ['use.js'], env());
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^:\d+\n$/);
  });

  it('is required by CommonJS', async () => {
    cjs.write('use.js', `const { startBridge } = require('x11bridge'); (async () => {${USE}})();`);
    const { code, stdout, stderr } = await cjs.run(process.execPath, ['use.js'], env());
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^:\d+\n$/);
  });

  it('is one and the same for both, and exports nothing else', async () => {
    esm.write('same.js', `import * as imported from 'x11bridge'; import { createRequire } from 'node:module';
      const required = createRequire(import.meta.url)('x11bridge');
      console.log(imported.startBridge === required.startBridge, Object.keys(imported).join(), Object.keys(required).join());`);
    assert.equal((await esm.run(process.execPath, ['same.js'])).stdout, 'true startBridge,startHost startBridge,startHost\n');
  });

  it('keeps a process alive while a bridge is open, and lets it end afterwards', async () => {
    esm.write('alive.js', `import { startBridge } from 'x11bridge';
      const bridge = (await startBridge(${MEAN_OPTIONS}))._unsafeUnwrap();
      bridge.on('closed', () => console.log('closed'));
      setTimeout(() => { console.log('still here'); bridge.close(); }, 200).unref();
      setTimeout(() => undefined, 100);`);
    const { code, stdout, stderr } = await esm.run(process.execPath, ['alive.js'], env());
    assert.deepEqual([code, stdout], [0, 'still here\nclosed\n'], stderr);
  });

  it('has types for both kinds of consumers, strict, and without @types/node', async () => {
    for (const consumer of [esm, cjs]) await assertTyped(consumer.file('.'));
  });

  it('brings the command', async () => {
    const { stdout, stderr } = await esm.run(process.execPath, ['node_modules/x11bridge/dist/cli/main.js', 'run', '--host-display', server.display, '--', 'sh', '-c', 'echo $DISPLAY']);
    assert.match(stdout, /^:\d+\n$/, stderr);
  });

  it('contains what users need and nothing else', () => {
    const folder = esm.file('node_modules/x11bridge');
    assert.deepEqual(readdirSync(folder).toSorted(), ['CHANGELOG.md', 'LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'SECURITY.md', 'dist', 'package.json', 'systemd']);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(files.filter((file) => /\.(node|map|ts)$/.test(file) && !/\.d\.m?ts$/.test(file)), []);
  });

  it('says in one sentence what to install when the addon is missing', async () => {
    using bare = await Consumer.create('module');
    const addon = readdirSync(bare.file('node_modules')).find((name) => name.startsWith('x11bridge-')) ?? '';
    rmSync(bare.file(join('node_modules', addon)), { recursive: true });
    bare.write('use.js', `import { startBridge } from 'x11bridge'; console.log(JSON.stringify((await startBridge({ hostDisplay: ':0' }))._unsafeUnwrapErr()));`);
    const { stdout, stderr } = await bare.run(process.execPath, ['use.js']);
    const error = JSON.parse(stdout || '{}') as { kind?: string; message?: string };
    assert.equal(error.kind, 'addon-missing', stderr);
    assert.match(error.message ?? '', new RegExp(`${addon} is not installed.*"npm install ${addon}@`));
  });
});
