import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { PRESET_NAMES } from '../../dist/config/options.js';
import { clipboardRules } from '../../dist/policy/added-rules.js';
import { compilePolicy } from '../../dist/policy/compile.js';
import { loadPolicy, parsePolicy } from '../../dist/policy/load.js';
import { PRESETS } from '../../dist/policy/presets.js';
import { checkPolicy, isAbove } from '../../dist/policy/rule.js';
import { TemporaryFolder } from '../support/temporary.js';

function problem(source: unknown): string {
  return checkPolicy(source).andThen(compilePolicy)._unsafeUnwrapErr();
}

function rule(fields: Readonly<Record<string, unknown>>): unknown {
  return { rules: [fields] };
}

describe('policies', () => {
  for (const name of PRESET_NAMES) {
    it(`can be written as ${name} is`, () => {
      assert.ok(checkPolicy(PRESETS[name]).isOk());
      assert.ok(compilePolicy({ base: name }).isOk());
    });
  }

  const faults: readonly [string, unknown, RegExp][] = [
    ['is no table', [], /^a policy must be a table$/],
    ['has an unknown key', { bass: 'guest' }, /no key "bass"; a policy has base, unlisted, .* or rules/],
    ['has an unknown base', { base: 'gast' }, /base must be open/],
    ['has no list of rules', { rules: {} }, /^rules must be a list$/],
    ['has a rule with an unknown key', rule({ request: 'GetImage', action: 'deny', wenn: {} }), /^rules\[0\]: there is no key "wenn"/],
    ['has an unknown action', rule({ request: 'GetImage', action: 'refuse' }), /^rules\[0\]: action must be allow, deny/],
    ['has an unknown request', rule({ request: 'GetImages', action: 'deny' }), /no request or extension named "GetImages"/],
    ['has an unknown request of an extension', rule({ request: 'RENDER.Compose', action: 'deny' }), /no request or extension named "RENDER.Compose"/],
    ['has an unknown field', rule({ request: 'GetImage', when: { window: 'root' }, action: 'deny' }), /GetImage has no field "window"; it has .*drawable/],
    ['has an unknown class', rule({ request: 'GetImage', when: { drawable: 'foreign' }, action: 'deny' }), /when\.drawable must be none, own, root or other/],
    ['has a condition of the wrong kind', rule({ request: 'GetImage', when: { drawable: 7 }, action: 'deny' }), /when\.drawable must be/],
    ['has an error without deny', rule({ request: 'GetImage', action: 'allow', error: 'Access' }), /error must be .* goes with the action deny/],
    ['has an unknown error', rule({ request: 'GetImage', action: 'deny', error: 'Axis' }), /error must be Request, Value/],
    ['ignores what has a reply', rule({ request: 'GetImage', action: 'ignore' }), /GetImage has a reply/],
    ['blanks another reply', rule({ request: 'GetImage', action: 'blank' }), /the action blank is for QueryKeymap alone/],
    ['has an unknown direction of the clipboard', { clipboard: 'outwards' }, /^clipboard must be off, in, out or both$/],
    ['has no size for it', { 'clipboard-max': '1M' }, /^clipboard-max must be a number of bytes/],
    ['has an unknown way with processes', { processes: 'kill' }, /^processes must be keep, mark or remove$/],
    ['has a machine without a name', { machine: '' }, /^machine must be a text of 1 to 64 bytes/],
    ['marks something else', rule({ request: 'DeleteProperty', action: 'mark' }), /the action mark is for ChangeProperty alone/],
    ['diverts without an atom', rule({ request: 'SetSelectionOwner', action: 'divert' }), /last condition of a rule that diverts/],
    ['strips without bits', rule({ request: 'GetProperty', when: { window: 'other' }, action: 'strip' }), /last condition of a rule that strips/],
    ['strips the mask of a list', rule({ request: 'ChangeWindowAttributes', when: { value_mask: { bits: 1 } }, action: 'strip' }), /value_mask says which values follow/],
    ['hides a request', rule({ request: 'GetImage', action: 'hide' }), /is no extension/],
    ['denies an extension', rule({ request: 'XTEST', action: 'deny' }), /XTEST is an extension: .* XTEST\.\*/],
    ['hides what the channel needs', rule({ request: 'BIG-REQUESTS', action: 'hide' }), /BIG-REQUESTS can't be hidden/],
    ['rules over what the bridge rests on', rule({ request: 'QueryExtension', action: 'deny' }), /no request or extension named/],
    ['contradicts itself', { rules: [{ request: 'Bell', action: 'deny' }, { request: 'Bell', action: 'allow' }] }, /^rules\[1\]: it can never apply to Bell: rules\[0\] already decides on it \(deny\)/],
    ['says the same twice', { rules: [{ request: 'Bell', action: 'deny' }, { request: 'Bell', action: 'deny' }] }, /rules\[0\] already does the same/],
  ];
  for (const [what, source, message] of faults) {
    it(`are refused with the place when one ${what}`, () => assert.match(problem(source), message));
  }

  it('are refused with the line when a file is no TOML', () => {
    assert.match(parsePolicy('base = "guest"\nrules = [')._unsafeUnwrapErr(), /^line 2: /);
  });

  it('are found by their path, and by their name in the configuration', () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.file('mine.toml'), 'base = "guest"\n[[rules]]\nrequest = "XTEST"\naction = "allow"\n');
    const compiled = loadPolicy(folder.file('mine.toml'), {})._unsafeUnwrap();
    assert.ok(compiled?.extensions.includes('XTEST'));
    const { kind, message } = loadPolicy('mine', { XDG_CONFIG_HOME: folder.path })._unsafeUnwrapErr();
    assert.equal(kind, 'invalid-policy');
    assert.match(message, /there is no policy mine: it is none of open/);
  });
});

describe('a limit of the clipboard', () => {
  /** Whether a rule denies a property of this format and length, in elements, that replaces what was there. */
  function denied(max: number, format: number, length: number): boolean {
    return clipboardRules('both', max).some(({ when = {}, action }) => {
      const { data_len: limit } = when;
      return action === 'deny' && isAbove(limit) && limit.above < length && (when['format'] === undefined || when['format'] === format);
    });
  }

  for (const max of [0, 1, 3, 4, 7, 4096, 0xffff_ffff]) {
    it(`of ${max} bytes is one of bytes, whatever the elements`, () => {
      for (const format of [8, 16, 32]) {
        const most = Math.floor((max * 8) / format);
        for (const length of [0, 1, most, most + 1, 2 * most]) assert.equal(denied(max, format, length), (length * format) / 8 > max, `${length} of ${format} bits`);
      }
    });
  }

  it('makes a policy', () => assert.ok(checkPolicy({ 'clipboard-max': 1000 }).andThen(compilePolicy).isOk()));
});
