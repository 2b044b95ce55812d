import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { ensureRuntimeDir } from '../../dist/runtime-dir.js';
import { TemporaryFolder } from '../support/temporary.js';

function problem(path: string): string {
  const error = ensureRuntimeDir(path, {})._unsafeUnwrapErr();
  assert.equal(error.kind, 'runtime-dir');
  return error.message;
}

describe('the runtime directory', () => {
  it('is made in $XDG_RUNTIME_DIR with mode 0700, whatever the umask, and found again', () => {
    using folder = new TemporaryFolder();
    const before = process.umask(0);
    try {
      const env = { XDG_RUNTIME_DIR: folder.path };
      const path = ensureRuntimeDir(undefined, env)._unsafeUnwrap();
      assert.equal(path, folder.file('x11bridge'));
      assert.equal(statSync(path).mode & 0o777, 0o700);
      assert.equal(ensureRuntimeDir(undefined, env)._unsafeUnwrap(), path);
    } finally {
      process.umask(before);
    }
  });

  it('is not looked for in an $XDG_RUNTIME_DIR that is relative or gone', () => {
    for (const session of ['relative', '/does/not/exist', undefined]) {
      const path = ensureRuntimeDir(undefined, { XDG_RUNTIME_DIR: session })._unsafeUnwrap();
      assert.match(path, /\/x11bridge-\d+$/);
      assert.equal(statSync(path).mode & 0o777, 0o700);
    }
  });

  it('is refused when others can look into it', () => {
    using folder = new TemporaryFolder();
    chmodSync(folder.path, 0o750);
    assert.match(problem(folder.path), /is open to other users \(mode 750\)/);
  });

  it('is refused when it is a link, even to a good directory', () => {
    using folder = new TemporaryFolder();
    mkdirSync(folder.file('target'), { mode: 0o700 });
    symlinkSync(folder.file('target'), folder.file('link'));
    assert.match(problem(folder.file('link')), /is a symbolic link/);
    rmSync(folder.file('target'), { recursive: true });
    assert.match(problem(folder.file('link')), /is a symbolic link/);
  });

  it('is refused when it is a file, or has no parent', () => {
    using folder = new TemporaryFolder();
    writeFileSync(folder.file('file'), '');
    assert.match(problem(folder.file('file')), /isn't a directory/);
    assert.match(problem(folder.file('a/b')), /can't be made \(ENOENT\)/);
  });

  it('is refused when it belongs to somebody else', () => {
    using folder = new TemporaryFolder();
    // Only root can give a folder away; to anybody else root's own is a foreign one.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(folder.path, 12_345, 12_345);
    assert.match(problem(isRoot ? folder.path : '/root'), isRoot ? /belongs to user 12345/ : /belongs to user 0/);
  });
});
