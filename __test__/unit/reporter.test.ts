import assert from 'node:assert/strict';
import { Reporter } from '../../dist/cli/reporter.js';

/** What `body` writes to stderr. */
function written(body: () => void): string {
  const { write } = process.stderr;
  let text = '';
  process.stderr.write = (chunk: string | Uint8Array): boolean => {
    text += String(chunk);
    return true;
  };
  try {
    body();
  } finally {
    process.stderr.write = write;
  }
  return text;
}

describe('a log line', () => {
  it('is one line that controls no terminal, whatever the name of a client', () => {
    const reporter = new Reporter('info', undefined);
    const name = 'a\u001B[2J\u009B31m\nx11bridge: error: b\u0007é';
    assert.equal(written(() => reporter.log('info', `client 1 connected (${name}, pid 2)`)), 'x11bridge: info: client 1 connected (a?[2J?31m?x11bridge: error: b?é, pid 2)\n');
  });
});
