import assert from 'node:assert/strict';
import { exitCodeOf, failure, isErrorKind, type BridgeErrorKind } from '../../dist/errors.js';

const KINDS: readonly BridgeErrorKind[] = [
  'invalid-option',
  'invalid-config',
  'display-taken',
  'no-free-display',
  'permission-denied',
  'runtime-dir',
  'os',
  'addon-missing',
  'aborted',
  'not-running',
  'busy',
  'internal',
];

describe('errors', () => {
  it('end the command with 2 for wrong usage and with 1 for everything else', () => {
    const usage = KINDS.filter((kind) => exitCodeOf(kind) === 2);
    assert.deepEqual(usage, ['invalid-option']);
  });

  it('are told apart from strings that only look like a kind', () => {
    assert.ok(KINDS.every(isErrorKind));
    assert.ok(!isErrorKind('toString'));
    assert.ok(!isErrorKind(''));
  });

  it('blame the usual side of their kind unless another is given', () => {
    assert.equal(failure('invalid-option', 'x').side, 'user');
    assert.equal(failure('internal', 'x').side, 'bridge');
    assert.deepEqual(failure('os', 'x', { side: 'host', retry: true }), { kind: 'os', message: 'x', side: 'host', retry: true });
  });
});
