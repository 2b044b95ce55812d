// The guest's /dev/shm: files whose memory the host has too. What they hold is compared by a program in the guest and one outside.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMAND, ROOT } from '../support/command.js';
import { eventually, Running } from '../support/processes.js';
import { inTheWholeRun } from './support/extent.js';
import { memoryFiles } from './support/memory-files.js';
import { BOOT_LIMIT_MS, inOneGuest } from './support/place.js';

const PROGRAM = join(ROOT, 'build/shims/dev-shm');
const SEGMENTS = join(ROOT, 'build/shims/segments');
const ADDITIONS = 300_000;
/** The window has 128 places. */
const FILES = 300;
const EACCES = 13;
const ENOTTY = 25;

inOneGuest("a guest's /dev/shm", ['--dev-shm', '64'], (place) => {
  it('is mounted with DAX, and every user may write to it', async () => {
    const { stdout } = await place.guest.run(`grep ' /dev/shm ' /proc/mounts; stat -c '%A %u' /dev/shm; touch /dev/shm/empty; '${PROGRAM}' dax /dev/shm/empty`);
    assert.match(stdout, /^x11bridge-shm \/dev\/shm virtiofs .*dax=inode.*\ndrwxrwxrwt 0\nyes\n$/);
  });

  it('is known to the doctor', async () => {
    const { stdout } = await place.guest.run(`'${process.execPath}' '${COMMAND}' doctor --json`);
    const found = JSON.parse(stdout) as { checks: { name: string; cause: string }[] };
    assert.equal(found.checks.find(({ name }) => name === 'shared-memory')?.cause, 'virtiofs with DAX: shared with the host, which knows open files by name');
  });

  it('gives a program of the guest and one of the host one page, on which no addition is lost', async function () {
    this.timeout(2 * BOOT_LIMIT_MS);
    await place.guest.run(`truncate -s 4096 /dev/shm/counter`);
    const inside = await place.guest.start(PROGRAM, ['add', '/dev/shm/counter', String(ADDITIONS)]);
    await eventually('the file is there', () => memoryFiles(place).length > 0);
    const [file = ''] = memoryFiles(place);
    await using outside = new Running(PROGRAM, ['add', file, String(ADDITIONS)], { limitMs: BOOT_LIMIT_MS });
    const [there, here] = [await inside.finished(), await outside.finished()];
    assert.deepEqual([there.stdout, here.stdout, there.code, here.code], [`${2 * ADDITIONS}\n`, `${2 * ADDITIONS}\n`, 0, 0], there.stderr + here.stderr);
    await place.guest.run('rm /dev/shm/counter');
    await eventually('its memory is gone', () => memoryFiles(place).length === 0);
  });

  it('keeps files right while they grow, shrink, and lose their names', async () => {
    const { stdout, stderr, code } = await place.guest.run(`'${PROGRAM}' grow /dev/shm/growing`);
    assert.deepEqual([stdout, stderr, code], ['done\n', '', 0]);
  });

  it('keeps more files right than fit into the window at once', async function () {
    this.timeout(2 * BOOT_LIMIT_MS);
    const { stdout, stderr, code } = await place.guest.run(`mkdir /dev/shm/many && '${PROGRAM}' many /dev/shm/many ${FILES} && rmdir /dev/shm/many`);
    assert.deepEqual([stdout, stderr, code], ['done\n', '', 0]);
    await eventually('their memory is gone', () => memoryFiles(place).length === 0);
  });

  it('names open files, as far as they are open', async () => {
    const exported = async (path: string, mode: string): Promise<string> => (await place.guest.run(`'${PROGRAM}' export ${path} ${mode}`)).stdout.trim();
    await place.guest.run('echo words > /dev/shm/named; echo words > /run/elsewhere');
    const [first, second] = [await exported('/dev/shm/named', 'rw'), await exported('/dev/shm/named', 'r')];
    assert.match(first, /^1 \d+$/);
    assert.match(second, /^1 \d+$/);
    assert.notEqual(first, second, 'a name ends with its open file');
    assert.equal(await exported('/dev/shm/named', 'w'), `error ${EACCES}`);
    assert.equal(await exported('/run/elsewhere', 'rw'), `error ${ENOTTY}`);
    await place.guest.run('rm /dev/shm/named');
  });

  it('takes images in files there to the X server without a copy', async () => {
    // Before both: who comes first to a name that is not there would make a file of it.
    await place.guest.run('mkfifo /run/open');
    const program = await place.guest.start('sh', ['-c', `exec '${SEGMENTS}' file /dev/shm/image < /run/open`]);
    const writer = await place.guest.start('sh', ['-c', 'exec sleep 1000 > /run/open']);
    await eventually('it has drawn', () => /^attached$/m.test(program.stdout));
    const mapped = readFileSync(`/proc/${place.host.pid}/maps`, 'utf8').includes('/memfd:x11bridge-shm');
    await writer.signal('TERM');
    const { stdout, stderr, code } = await program.finished();
    assert.deepEqual([code, stderr, mapped], [0, '', true]);
    assert.match(stdout, /^attach 0\nput 0\nevent 0 for request 0\.3 at 0\nfile: 0 wrong pixels\ngot 16384 bytes of depth 24\ngot: 0 wrong pixels\nattached\ndetach 0\n$/);
    await eventually('its memory is gone', () => memoryFiles(place).length === 0);
  });

  it('has limits, says when it is full, and goes on', async () => {
    const { code, stderr } = await place.guest.run('dd if=/dev/zero of=/dev/shm/large bs=1M count=65');
    assert.notEqual(code, 0);
    assert.match(stderr, /No space left on device/);
    await place.guest.run('rm /dev/shm/large');
    const again = await place.guest.run('dd if=/dev/zero of=/dev/shm/large bs=1M count=60 && rm /dev/shm/large');
    assert.equal(again.code, 0, again.stderr);
  });

  it('has files alone, and those of their owners', async () => {
    const { stdout } = await place.guest.run(
      [
        'cd /dev/shm',
        'mkfifo pipe 2>/dev/null || echo no pipe',
        'mknod device c 1 3 2>/dev/null || echo no device',
        'echo secret > mine; chmod 600 mine; chown 4000:4000 mine; stat -c "%u %g %a %s" mine',
        "setpriv --reuid 4001 --regid 4001 --clear-groups sh -c 'cat mine 2>/dev/null || echo forbidden; rm -f mine 2>/dev/null || echo sticky'",
        'ln -s /etc/hostname link; readlink link; mkdir folder; mv mine folder/other; ls folder; rm -r folder link',
      ].join('\n'),
    );
    assert.equal(stdout, 'no pipe\nno device\n4000 4000 600 7\nforbidden\nsticky\n/etc/hostname\nother\n');
  });
});

inTheWholeRun(() => {
  inOneGuest('a guest whose /dev/shm is its own', ['--dev-shm', '0'], (place) => {
    it('has a file system in its memory', async () => {
      const { stdout } = await place.guest.run("grep ' /dev/shm ' /proc/mounts");
      assert.match(stdout, /^\S+ \/dev\/shm tmpfs /);
      assert.deepEqual(memoryFiles(place), []);
    });
  });
});
