import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseConfig, readConfigFile } from '../../dist/config/file.js';
import type { GivenSettings } from '../../dist/config/given.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';

function parse(text: string): GivenSettings {
  return parseConfig(text, 'f')._unsafeUnwrap().given;
}

function problems(text: string): string[] {
  const errors = parseConfig(text, 'f')._unsafeUnwrapErr();
  assert.ok(errors.every(({ kind }) => kind === 'invalid-config'));
  return errors.map(({ message }) => message);
}

function refusal(file: string): string {
  const [error, ...more] = readConfigFile(file, 'refused')._unsafeUnwrapErr();
  assert.deepEqual([error?.kind, more], ['invalid-config', []]);
  return error?.message ?? '';
}

describe('tables of bridges', () => {
  const FILE = 'channel = "socket"\n\n[[bridge]]\ndisplay = ":7"\npolicy = "guest"\n\n[[bridge]] # the other\nsocket = "/run/x"\nclients-max = 3\n';

  it('give each bridge its own, with its line', () => {
    const { given, bridges } = parseConfig(FILE, 'f')._unsafeUnwrap();
    assert.deepEqual(given, { channel: { value: 'socket', origin: { from: 'file', file: 'f', line: 1 } } });
    assert.deepEqual(bridges.map((bridge) => Object.entries(bridge).map(([name, { value, origin }]) => [name, value, origin.from === 'file' && origin.line])), [
      [['display', ':7', 4], ['policy', 'guest', 5]],
      [['socket', '/run/x', 8], ['clientsMax', 3, 9]],
    ]);
  });

  it('are refused with the place where they contradict each other, or say what holds for all', () => {
    assert.deepEqual(problems('[[bridge]]\ndisplay = ":7"\n[[bridge]]\ndisplay = ":7"\nlog-level = "info"\nspin = 0\n'), [
      'f:6: spin must be auto, off or a number of microseconds from 1 to 1000, not 0',
      'f:5: log-level holds for all bridges: set it above the first [[bridge]]',
      'f:4: display must be another one than that of line 2',
    ]);
    assert.deepEqual(problems('[bridge]\ndisplay = ":7"\n'), ['f:1: bridge must be tables, each behind a line [[bridge]]']);
    assert.deepEqual(problems('spin = 5\nbridge = 3\n'), ['f:2: bridge must be tables, each behind a line [[bridge]]']);
    assert.deepEqual(problems('[[bridge]]\nfoo = 1\n[[bridges]]\n').map((problem) => problem.replace(/;.*/, '')), ['f:3: there is no key "bridges"', 'f:2: there is no key "foo"']);
  });

  it('have their lines found in one walk, however long the file', () => {
    const long = `${'# a comment\n'.repeat(4000)}spin = 0\n`;
    assert.match(problems(long).join(), /^f:4001: spin/);
  });
});

describe('a configuration file', () => {
  it('gives values with their lines', () => {
    assert.deepEqual(parse('# mine\nspin = "off"\n\nclients-max = 4 # few\n'), {
      spin: { value: 'off', origin: { from: 'file', file: 'f', line: 2 } },
      clientsMax: { value: 4, origin: { from: 'file', file: 'f', line: 4 } },
    });
  });

  it('may be empty, or have nothing but comments', () => {
    assert.deepEqual(parse(''), {});
    assert.deepEqual(parse('\n# nothing\n'), {});
  });

  it('is named with the line, the key and what was expected, for every fault, from the top down', () => {
    assert.deepEqual(problems('spin = 2000\nclients-max = "9"\n\n[display]\nnumber = 3\n'), [
      'f:1: spin must be auto, off or a number of microseconds from 1 to 1000, not 2000',
      'f:2: clients-max must be a number from 1 to 65536, not "9"',
      'f:4: display must be auto or a display from :0 to :59535, not a table',
    ]);
  });

  it('has the lines of keys in every spelling of TOML', () => {
    const text = 'a = """\nspin = 1\n"""\n"spin" = 0\nchannel.x = 1\nlog-level = [\n  "warn",\n]\nhost-timeout = 2020-01-01\n';
    assert.deepEqual(problems(text).map((problem) => problem.replace(/ must be .*, not/, ' not').replace(/;.*/, '')), [
      'f:1: there is no key "a"',
      'f:4: spin not 0',
      'f:5: channel not a table',
      'f:6: log-level not a list',
      'f:9: host-timeout not a date',
    ]);
  });

  it('of another tongue is answered with the name that was meant', () => {
    assert.deepEqual(problems('clientsMax = 3\nHOST_TIMEOUT = 3\nfoo = 1'), [
      'f:1: there is no key "clientsMax"; it is written clients-max',
      'f:2: there is no key "HOST_TIMEOUT"; it is written host-timeout',
      'f:3: there is no key "foo"; "x11bridge config show" lists those that there are',
    ]);
  });

  it('that is no TOML is named with the line, in one sentence', () => {
    for (const text of ['\nspin = ', '\nspin', '\nspin = "off', '\nspin = 1\nspin = 2', '\n\0']) {
      const [problem, ...more] = problems(text);
      assert.match(problem ?? '', /^f:[23]: this is no TOML: [^\n]+$/);
      assert.deepEqual(more, []);
    }
  });

  it('has keys that only look like properties of objects refused', () => {
    for (const key of ['__proto__', 'constructor', 'toString']) assert.match(problems(`${key} = 1`).join(), /^f:1: /);
  });

  it('that is missing is empty, or refused when it was named', () => {
    assert.deepEqual(readConfigFile('/does/not/exist', 'empty')._unsafeUnwrap(), { given: {}, bridges: [] });
    assert.match(refusal('/does/not/exist'), /\/does\/not\/exist can't be read \(ENOENT\)/);
  });

  it('that is a folder, a pipe, or far too long is refused', async () => {
    using folder = new TemporaryFolder();
    mkdirSync(folder.file('folder'));
    assert.match(refusal(folder.file('folder')), /isn't a file/);
    assert.equal((await finish('mkfifo', [folder.file('pipe')])).code, 0);
    assert.match(refusal(folder.file('pipe')), /isn't a file/);
    writeFileSync(folder.file('long'), '#'.repeat((64 << 10) + 1));
    assert.match(refusal(folder.file('long')), /is longer than 65536 bytes/);
    writeFileSync(folder.file('long'), '#'.repeat(64 << 10));
    assert.ok(readConfigFile(folder.file('long'), 'refused').isOk());
  });

  it('that cannot be read for another reason is refused, whether it was named or not', () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.file('file'), '');
    assert.match(refusal(folder.file('file/inner')), /can't be read \(ENOTDIR\)/);
    assert.ok(readConfigFile(folder.file('file/inner'), 'empty').isErr());
  });
});
