import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { manifestPath, readManifest, vmCacheFolder, type VmManifest } from '../../dist/vm/cache.js';
import { cpioArchive } from '../../dist/vm/cpio.js';
import { newEndMark, UntilEndMark } from '../../dist/vm/end-mark.js';
import { findGuestHalf } from '../../dist/vm/guest-half.js';
import { machineArguments, type MachineSpec } from '../../dist/vm/machine.js';
import { resolveVmOptions, type RawVmOptions } from '../../dist/vm/options.js';
import { findParts } from '../../dist/vm/parts.js';
import { finish } from '../support/processes.js';
import { TemporaryFolder } from '../support/temporary.js';

const NONE: RawVmOptions = { qemu: undefined, kernel: undefined, root: undefined, package: undefined, accel: undefined, memory: undefined, cpus: undefined, share: undefined, network: undefined, hostSocket: undefined, devShm: undefined };

describe('the options of a guest', () => {
  const problem = (raw: Partial<RawVmOptions>): string => resolveVmOptions({ ...NONE, ...raw }).match(() => '', ({ message }) => message);

  it('may all be left out', () => {
    const options = resolveVmOptions(NONE)._unsafeUnwrap();
    assert.deepEqual([options.memory, options.acceleration, options.shares, options.network, options.devShm], [1024, undefined, [], false, 1024]);
    assert.ok(options.cpus >= 1 && options.cpus <= 4);
  });

  it('are refused with the flag, what is expected and what was given', () => {
    assert.equal(problem({ memory: '255' }), '--memory must be a number from 256 to 1048576, not "255"');
    assert.equal(problem({ memory: '1G' }), '--memory must be a number from 256 to 1048576, not "1G"');
    assert.equal(problem({ cpus: '65' }), '--cpus must be a number from 1 to 64, not "65"');
    assert.equal(problem({ devShm: '-1' }), '--dev-shm must be a number from 0 to 1048576, not "-1"');
    assert.equal(problem({ accel: 'fast' }), '--accel must be auto, kvm or tcg, not "fast"');
    assert.equal(problem({ share: ['/a', ':rw'] }), '--share must be a folder, or a folder with :rw behind it, not ":rw"');
  });

  it('are taken at their limits', () => {
    for (const [memory, cpus] of [['256', '1'], ['1048576', '64']] as const) assert.equal(problem({ memory, cpus }), '');
  });

  it('tell folders that may be written to from others', () => {
    const { shares } = resolveVmOptions({ ...NONE, share: ['/a:b', '/c:rw'] })._unsafeUnwrap();
    assert.deepEqual(shares, [{ path: '/a:b', writable: false }, { path: '/c', writable: true }]);
  });
});

describe('the parts of a guest', () => {
  it('are looked for in the cache, and what is missing is named with the remedy', () => {
    using folder = new TemporaryFolder();
    const found = findParts(resolveVmOptions(NONE)._unsafeUnwrap(), { XDG_CACHE_HOME: folder.path });
    const { kind, message } = found._unsafeUnwrapErr();
    assert.equal(kind, 'vm-missing');
    assert.equal(message, `a kernel for virtual machines is missing in ${folder.path}/x11bridge/vm: run "npm run vm:setup" in a checkout of x11bridge, or name one with --kernel`);
  });

  it('count as missing when the list of them is damaged', () => {
    using folder = new TemporaryFolder();
    const cache = vmCacheFolder({ XDG_CACHE_HOME: folder.path });
    mkdirSync(cache, { recursive: true });
    writeFileSync(manifestPath(cache), '{"qemu":');
    assert.deepEqual(readManifest(cache), { qemu: {}, tools: {}, kernels: {}, roots: {} });
  });

  it('must include a QEMU that is new enough', () => {
    using folder = new TemporaryFolder();
    const parts = { kernel: folder.file('vmlinuz'), tools: 'tools.cpio', qemu: folder.file('qemu') };
    // A kernel for this processor, as far as anybody looks.
    writeFileSync(parts.kernel, process.arch === 'x64' ? `${'\0'.repeat(0x202)}HdrS` : '\0'.repeat(0x206));
    writeFileSync(parts.qemu, '#!/bin/sh\ncase $1 in --version) echo "QEMU emulator version 10.0.2";; *) echo "name \\"virtio-gpu-pci\\"";; esac\n', { mode: 0o755 });
    const cache = vmCacheFolder({ XDG_CACHE_HOME: folder.path });
    mkdirSync(cache, { recursive: true });
    writeFileSync(`${cache}/tools.cpio`, '');
    writeFileSync(manifestPath(cache), JSON.stringify({ qemu: {}, tools: { [process.arch]: 'tools.cpio' }, kernels: {} }));
    const find = (qemu: string): string =>
      findParts(resolveVmOptions({ ...NONE, kernel: parts.kernel, qemu })._unsafeUnwrap(), { XDG_CACHE_HOME: folder.path }).match(() => '', ({ message }) => message);
    assert.match(find(parts.qemu), /\(10\.0\.2\) has no device vhost-user-test-device-pci: QEMU 11\.1 or newer is needed/);
    assert.match(find(folder.file('absent')), /QEMU can't be started as .*absent .*--qemu/);
    writeFileSync(parts.qemu, '#!/bin/sh\necho "error while loading shared libraries: libfdt.so.1" >&2\nexit 127\n', { mode: 0o755 });
    assert.match(find(parts.qemu), /does not start \(error while loading shared libraries: libfdt\.so\.1\): install what it lacks, or .* --qemu$/);
    writeFileSync(parts.qemu, '#!/bin/sh\necho "name \\"vhost-user-test-device-pci\\", bus PCI"\n', { mode: 0o755 });
    assert.equal(find(parts.qemu), '');
  });
});

describe('a guest with another processor', () => {
  const OTHER = process.arch === 'x64' ? 'arm64' : 'x64';

  /** A cache with a kernel for it, and a system if there is to be one. */
  function cacheWith(folder: TemporaryFolder, roots: VmManifest['roots']): NodeJS.ProcessEnv {
    const env = { XDG_CACHE_HOME: folder.path };
    const cache = vmCacheFolder(env);
    mkdirSync(`${cache}/kernel`, { recursive: true });
    writeFileSync(`${cache}/kernel/vmlinuz`, OTHER === 'x64' ? `${'\0'.repeat(0x202)}HdrS` : '\0'.repeat(0x206));
    for (const name of ['qemu', 'tools.cpio']) writeFileSync(`${cache}/${name}`, '');
    const manifest: VmManifest = { qemu: { [OTHER]: 'qemu' }, tools: { [OTHER]: 'tools.cpio' }, kernels: { other: { arch: OTHER, folder: 'kernel' } }, roots };
    writeFileSync(manifestPath(cache), JSON.stringify(manifest));
    return env;
  }

  const find = (raw: Partial<RawVmOptions>, env: NodeJS.ProcessEnv): ReturnType<typeof findParts> => findParts(resolveVmOptions({ ...NONE, kernel: 'other', ...raw })._unsafeUnwrap(), env);

  it('has the system of the cache, or the one that is named', () => {
    using folder = new TemporaryFolder();
    const env = cacheWith(folder, { [OTHER]: 'system' });
    mkdirSync(`${vmCacheFolder(env)}/system`);
    assert.equal(find({}, env)._unsafeUnwrap().root, `${vmCacheFolder(env)}/system`);
    assert.equal(find({ root: folder.path }, env)._unsafeUnwrap().root, folder.path);
    assert.match(find({ root: '/nonexistent' }, env)._unsafeUnwrapErr().message, /^there is no folder \/nonexistent: .* --root$/);
  });

  it('is told what is missing when there is none, since the files of this machine are of no use to it', () => {
    using folder = new TemporaryFolder();
    const { message } = find({}, cacheWith(folder, {}))._unsafeUnwrapErr();
    assert.match(message, new RegExp(`^a system for ${OTHER} for virtual machines is missing in .*: run "npm run vm:setup -- --all" .*, or name a folder with one by --root$`));
  });

  it('needs a Node and an x11bridge of its own, each with its remedy', () => {
    using folder = new TemporaryFolder();
    const parts = { ...find({ root: folder.path }, cacheWith(folder, {}))._unsafeUnwrap() };
    const half = (installed?: string): string => findGuestHalf(parts, '/own', installed).match(({ nodeProgram, entry }) => `${nodeProgram} ${entry}`, ({ message }) => message);
    const put = (path: string): void => {
      mkdirSync(dirname(folder.file(path)), { recursive: true });
      writeFileSync(folder.file(path), '');
    };
    assert.equal(half(), `there is no Node in ${folder.path}: install one for ${OTHER} there as /usr/local/bin/node or /usr/bin/node`);
    put('usr/bin/node');
    assert.match(half(), new RegExp(`^there is no x11bridge in .*: run "npm install --prefix DIR --os=linux --cpu=${OTHER} --libc=glibc x11bridge", and name that folder by --package$`));
    assert.match(half('/elsewhere'), /^there is no x11bridge in \/elsewhere: run "npm install --prefix \/elsewhere /);
    put('usr/lib/node_modules/x11bridge/dist/cli/guest.js');
    assert.equal(half(), '/usr/bin/node /usr/lib/node_modules/x11bridge/dist/cli/guest.js');
    put('named/node_modules/x11bridge/dist/cli/guest.js');
    assert.equal(half(folder.file('named')), `/usr/bin/node ${folder.file('named')}/node_modules/x11bridge/dist/cli/guest.js`);
  });
});

describe('an archive', () => {
  it('has every entry at a multiple of four bytes, also behind another archive', () => {
    const entries = [{ path: 'folder', mode: 0o40_755 }, { path: 'folder/file', mode: 0o100_600, data: Buffer.from('hello') }];
    const archive = Buffer.concat([cpioArchive([{ path: 'first', mode: 0o100_644, data: Buffer.from('1') }]), cpioArchive(entries)]);
    assert.equal(archive.length % 4, 0);
    const names = [...archive.toString('latin1').matchAll(/070701[0-9a-f]{104}([^\0]+)\0/g)].map(([, name]) => name);
    assert.deepEqual(names, ['first', 'TRAILER!!!', 'folder', 'folder/file', 'TRAILER!!!']);
  });
});

describe('a stream until its mark', () => {
  const pass = async (chunks: readonly string[], mark: string): Promise<{ text: string; found: boolean }> => {
    const stream = new UntilEndMark(mark);
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    return { text: (await buffer(stream)).toString(), found: stream.found };
  };

  it('passes on everything before the mark and nothing behind it, however it is split', async () => {
    const mark = newEndMark();
    const whole = `output${mark}rest`;
    for (let at = 0; at <= whole.length; at++) {
      assert.deepEqual(await pass([whole.slice(0, at), whole.slice(at)], mark), { text: 'output', found: true });
    }
    assert.deepEqual(await pass([...whole], mark), { text: 'output', found: true });
  });

  it('holds back nothing that only looks like its beginning', async () => {
    const mark = newEndMark();
    assert.deepEqual(await pass([mark.slice(0, 10), mark.slice(0, -1)], mark), { text: mark.slice(0, 10) + mark.slice(0, -1), found: false });
  });

  it('has another mark each time', () => {
    assert.notEqual(newEndMark(), newEndMark());
  });
});

describe("QEMU's arguments", () => {
  const SPEC: MachineSpec = { arch: 'x64', acceleration: 'tcg', memory: 512, cpus: 1, kernel: '/k', initrd: '/i', root: '/', shares: [], network: false, terminal: false, device: ['-device', 'ours'] };

  it('never let TCG have a single possible processor, and share the memory', () => {
    const text = machineArguments(SPEC).join(' ');
    assert.match(text, /-smp 1,maxcpus=2\b/);
    assert.match(text, /-accel tcg,thread=multi -cpu max\b/);
    assert.match(text, /memory-backend-memfd,id=ram,size=512M,share=on/);
    assert.ok(text.endsWith('-device ours'));
  });

  it('export the root read-only, and a folder to be written to as such', () => {
    const text = machineArguments({ ...SPEC, shares: [{ path: '/a,b', writable: true }] }).join(' ');
    assert.match(text, /id=root,path=\/,security_model=none,multidevs=remap,readonly=on/);
    assert.match(text, /id=share0,path=\/a,,b,security_model=none,multidevs=remap,readonly=off/);
  });
});

describe('the first process of a guest', () => {
  it('is a script without faults of syntax', async () => {
    using folder = new TemporaryFolder();
    const { INIT_SCRIPT } = await import('../../dist/vm/init-script.js');
    writeFileSync(folder.file('init'), INIT_SCRIPT);
    const { code, stderr } = await finish('sh', ['-n', folder.file('init')]);
    assert.equal(code, 0, stderr);
  });
});
