import assert from 'node:assert/strict';
import Ajv from 'ajv/dist/2020.js';
import { parseConfig } from '../../dist/config/file.js';
import { fromFlags } from '../../dist/config/given.js';
import { jsonSchema, SCHEMA, SETTING_NAMES, settingOfKey, variableOf } from '../../dist/config/schema.js';
import { checkValue } from '../../dist/config/value.js';

/** Values of all kinds, among them good and bad ones of every setting. */
const TEXTS = ['', 'auto', 'off', 'on', ':0', ':59535', ':x', '3', ':1.0', 'loopback', 'socket', 'pigeon', '/run/x', 'run', 'silent', 'debug', 'loud', 'AUTO'];
const NUMBERS = [0, 0.09, 0.1, 0.5, 1, 1.5, 4.5, 512, 600, 600.1, 1000, 1001, 65_536, 65_537, -1];
const VALUES: readonly unknown[] = [...TEXTS, ...NUMBERS, true, false, [], {}];

describe('the schema', () => {
  it('names every setting in one way, from which the others follow', () => {
    const keys = SETTING_NAMES.map((name) => SCHEMA[name].key);
    assert.equal(new Set(keys).size, keys.length);
    for (const name of SETTING_NAMES) {
      const { key, help, fallback } = SCHEMA[name];
      assert.match(key, /^[a-z][a-z\d]*(-[a-z\d]+)*$/);
      assert.equal(key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()), name);
      assert.equal(settingOfKey(key), name);
      assert.match(variableOf(name), /^X11BRIDGE_[A-Z\d_]+$/);
      assert.doesNotMatch(`${help}${fallback}`, /\n|\.$/);
    }
    assert.equal(settingOfKey('clientsMax'), undefined);
  });

  it('has defaults that pass its own checks', () => {
    for (const name of SETTING_NAMES) {
      const { standard, type } = SCHEMA[name];
      if (typeof standard !== 'function') assert.ok(checkValue<unknown>(type, standard).isOk(), name);
    }
  });

  it('reads the words that it proposes, written as flags', () => {
    for (const name of SETTING_NAMES) {
      for (const word of SCHEMA[name].type.words) assert.ok(checkValue<unknown>(SCHEMA[name].type, fromFlags({ [name]: word })[name]?.value).isOk(), `${name} ${word}`);
    }
  });

  it('is told to editors as JSON Schema: what the one takes, the other takes', () => {
    const validate = new Ajv({ strict: true }).compile(jsonSchema());
    for (const name of SETTING_NAMES) {
      const { key, type } = SCHEMA[name];
      for (const value of VALUES) assert.equal(validate({ [key]: value }), checkValue<unknown>(type, value).isOk(), `${key} = ${JSON.stringify(value)}`);
    }
    assert.ok(validate({}));
    assert.ok(!validate({ 'no-such-key': 1 }));
  });

  it('takes a file with every setting at its default', () => {
    const lines = SETTING_NAMES.flatMap((name) => {
      const { key, standard } = SCHEMA[name];
      return typeof standard === 'function' ? [] : [`${key} = ${JSON.stringify(standard)}`];
    });
    assert.ok(parseConfig(lines.join('\n'), 'f').isOk());
  });
});
