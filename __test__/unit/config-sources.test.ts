import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Given } from '../../dist/config/given.js';
import { SCHEMA, SETTING_NAMES, variableOf } from '../../dist/config/schema.js';
import { configFiles, effective, readSources, unknownVariables, type Flags } from '../../dist/config/sources.js';
import { TemporaryFolder } from '../support/temporary.js';

function clientsMax(flags: Flags, env: NodeJS.ProcessEnv): Given | undefined {
  const given = readSources(flags, env)._unsafeUnwrap();
  return effective(given, env).clientsMax;
}

function refusal(flags: Flags, env: NodeJS.ProcessEnv): string {
  return readSources(flags, env)._unsafeUnwrapErr().message;
}

describe('the sources of settings', () => {
  let folder: TemporaryFolder;
  let file: string;
  let env: NodeJS.ProcessEnv;
  beforeEach(() => {
    folder = new TemporaryFolder();
    mkdirSync(folder.file('x11bridge'));
    file = folder.file('x11bridge/config.toml');
    env = { XDG_CONFIG_HOME: folder.path };
  });
  afterEach(() => folder[Symbol.dispose]());

  it('win in their order: default, file, environment, flag', () => {
    const strongest = { clientsMax: '4' };
    assert.deepEqual(clientsMax({}, env), { value: 512, origin: { from: 'default' } });
    writeFileSync(file, 'clients-max = 2');
    assert.deepEqual(clientsMax({}, env), { value: 2, origin: { from: 'file', file, line: 1 } });
    env = { ...env, X11BRIDGE_CLIENTS_MAX: '3' };
    assert.deepEqual(clientsMax({}, env), { value: 3, origin: { from: 'environment', variable: 'X11BRIDGE_CLIENTS_MAX' } });
    assert.deepEqual(clientsMax(strongest, env), { value: 4, origin: { from: 'flag', name: '--clients-max' } });
  });

  it('are the file of the machine, then that of the user', () => {
    assert.deepEqual(configFiles({}, env), { files: ['/etc/x11bridge/config.toml', file], chosen: false });
    const usual = ['/etc/x11bridge/config.toml', `${homedir()}/.config/x11bridge/config.toml`];
    assert.deepEqual(configFiles({}, {}).files, usual);
    assert.deepEqual(configFiles({}, { XDG_CONFIG_HOME: 'relative' }).files, usual);
  });

  it('are one file only when one is named, the flag before the variable; it has to be there', () => {
    writeFileSync(file, 'clients-max = 2');
    writeFileSync(folder.file('named'), 'spin = "off"');
    assert.deepEqual(configFiles({ config: '/a' }, { X11BRIDGE_CONFIG: '/b' }).files, ['/a']);
    assert.equal(clientsMax({ config: folder.file('named') }, env)?.value, 512);
    assert.equal(clientsMax({}, { ...env, X11BRIDGE_CONFIG: folder.file('named') })?.value, 512);
    assert.match(refusal({ config: folder.file('gone') }, env), /gone can't be read \(ENOENT\)/);
    assert.match(refusal({ config: '' }, env), /can't be read/);
  });

  it('are all checked, also one that another wins over', () => {
    writeFileSync(file, 'clients-max = 0');
    assert.match(refusal({ clientsMax: '4' }, env), /config\.toml:1: clients-max must be /);
    writeFileSync(file, '');
    assert.match(refusal({ clientsMax: '4' }, { ...env, X11BRIDGE_CLIENTS_MAX: 'x' }), /^X11BRIDGE_CLIENTS_MAX must be .*, not "x"$/);
    assert.match(refusal({ clientsMax: '0' }, env), /^--clients-max must be .*, not 0$/);
  });

  it('give nothing where a variable is empty', () => {
    assert.equal(clientsMax({}, { ...env, X11BRIDGE_CLIENTS_MAX: '' })?.value, 512);
  });

  it('have the variables that nothing reads named', () => {
    const known = Object.fromEntries(SETTING_NAMES.map((name) => [variableOf(name), 'x']));
    assert.deepEqual(unknownVariables({ ...known, X11BRIDGE_DEBUG: '1', X11BRIDGE_CONFIG: '/x', HOME: '/', X11BRIDGE_SPINN: 'off' }), ['X11BRIDGE_SPINN']);
  });

  it('leave the defaults, with what the environment adds to them', () => {
    const none = effective({}, {});
    assert.equal(none.hostDisplay, undefined);
    assert.equal(effective({}, { DISPLAY: ':3' }).hostDisplay?.value, ':3');
    assert.equal(effective({}, { XAUTHORITY: '/x' }).hostXauthority?.value, '/x');
    for (const name of SETTING_NAMES.filter((one) => typeof SCHEMA[one].standard !== 'function')) assert.equal(none[name]?.origin.from, 'default');
  });
});
