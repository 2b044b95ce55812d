import assert from 'node:assert/strict';
import { loadAddon, type Surroundings } from '../../dist/native/addon.js';

const PACKAGE = 'x11bridge-linux-x64-gnu';

/** An installed package on Linux with glibc, whose addon is of the same version. */
function surroundings(more: Partial<Surroundings> = {}): Surroundings {
  return { system: 'linux-x64', musl: false, version: '1.2.3', built: () => undefined, load: () => ({ version: () => '1.2.3' }), ...more };
}

function throwing(message: string, code = 'ERR_DLOPEN_FAILED'): Partial<Surroundings> {
  return { load: () => { throw Object.assign(new Error(message), { code }); } };
}

/** The sentence of a refusal, which must be one. */
function sentence(more: Partial<Surroundings>): string {
  const { kind, message, side, retry } = loadAddon(surroundings(more))._unsafeUnwrapErr();
  assert.deepEqual([kind, side, retry], ['addon-missing', 'user', false]);
  assert.match(message, /^[^\n]+[^.\n]$/);
  return message;
}

describe('loading the addon', () => {
  it('takes that of the package of this platform', () => {
    const asked: string[] = [];
    for (const system of ['linux-x64', 'linux-arm64']) {
      const loaded = loadAddon(surroundings({ system, load: (module) => (asked.push(module), { version: () => '1.2.3' }) }));
      assert.ok(loaded.isOk());
    }
    assert.deepEqual(asked, [PACKAGE, 'x11bridge-linux-arm64-gnu']);
  });

  it('takes that for musl where Node is built for it, and never that for glibc, which may crash there', () => {
    const asked: string[] = [];
    const missing = Object.assign(new Error("Cannot find module 'x11bridge-linux-x64-musl'"), { code: 'MODULE_NOT_FOUND' });
    const message = sentence({ musl: true, load: (module) => { asked.push(module); throw missing; } });
    assert.deepEqual(asked, ['x11bridge-linux-x64-musl']);
    assert.equal(message, 'the npm package x11bridge-linux-x64-musl is not installed, which brings the addon: run "npm install x11bridge-linux-x64-musl@1.2.3"');
  });

  it('takes the one that was built in a checkout, and no other', () => {
    const built = (platform: string): string => `/checkout/${platform}.node`;
    const asked: string[] = [];
    assert.ok(loadAddon(surroundings({ built, load: (module) => (asked.push(module), { version: () => '1.2.3' }) })).isOk());
    assert.deepEqual(asked, ['/checkout/linux-x64-gnu.node']);
    assert.match(sentence({ built, ...throwing("Cannot find module '/checkout/linux-x64-gnu.node'\nRequire stack:", 'MODULE_NOT_FOUND') }), /this checkout .*run "npm run build" in it$/);
    assert.match(sentence({ built, load: () => ({ version: () => '1.2.2' }) }), /run "npm run build" in it$/);
  });

  it('names the system that there is no addon for, without trying to load one', () => {
    const load = (): never => assert.fail('it was loaded');
    for (const system of ['darwin-arm64', 'win32-x64', 'linux-riscv64', 'freebsd-x64']) assert.ok(sentence({ system, load }).includes(`this is ${system}`));
  });

  it('names the package that is missing, and the command that installs it', () => {
    const message = sentence(throwing(`Cannot find module '${PACKAGE}'\nRequire stack:\n- x`, 'MODULE_NOT_FOUND'));
    assert.equal(message, `the npm package ${PACKAGE} is not installed, which brings the addon: run "npm install ${PACKAGE}@1.2.3"`);
  });

  it('says what is wrong with an addon that does not load', () => {
    assert.match(sentence(throwing('/x.node: file too short')), /could not be loaded \(\/x\.node: file too short\): delete the package's folder, then run "npm install x11bridge-linux-x64-gnu@1\.2\.3"$/);
  });

  it('says which glibc is needed where that is too old', () => {
    assert.match(sentence(throwing("/lib/libc.so.6: version `GLIBC_2.17' not found (required by /x.node)")), /GLIBC_2\.17.*use a distribution with glibc 2\.17 or newer$/);
  });

  it('refuses an addon of another version, or without one', () => {
    for (const [addon, found] of [[{ version: () => '1.2.4' }, '1.2.4'], [{}, 'an unknown version']] as const) {
      assert.equal(sentence({ load: () => addon }), `the npm package ${PACKAGE} is of version ${found}, but x11bridge of 1.2.3: run "npm install ${PACKAGE}@1.2.3"`);
    }
  });
});
