import assert from 'node:assert/strict';
import { err, ok } from 'neverthrow';
import type { ResolvedSettings } from '../../dist/config/options.js';
import type { Machine } from '../../dist/doctor/check.js';
import { CHECKS, examine } from '../../dist/doctor/examine.js';
import { failure } from '../../dist/errors.js';

const SETTINGS: ResolvedSettings = {
  display: undefined,
  hostDisplay: ':0',
  socket: undefined,
  hostDisplayNamed: false,
  hostXauthority: undefined,
  channel: 'auto',
  renderNode: undefined,
  dri3: 'auto',
  fences: 'auto',
  policy: undefined,
  shm: 'auto',
  spin: undefined,
  clientsMax: undefined,
  hostTimeout: undefined,
  runtimeDir: undefined,
  metrics: undefined,
  logLevel: 'warn',
};

/** A machine on which everything is right: a guest of a good host. */
class ScriptedMachine implements Machine {
  platform: NodeJS.Platform = 'linux';
  arch = 'x64';
  nodeVersion = '20.17.0';
  env: NodeJS.ProcessEnv = { USER: 'ada' };
  settings: Machine['settings'] = ok(SETTINGS);
  files: Record<string, string> = {
    '/proc/self/limits': 'Max open files            4096                 4096                 files\n',
    '/proc/self/smaps': '55d0-55d1 r--p\nSize: 4 kB\nKernelPageSize:        4 kB\n',
    '/proc/self/mountinfo': '22 1 0:1 / / rw - ext4 /dev/vda rw\n30 22 0:2 / /dev/shm rw,nosuid - tmpfs tmpfs rw,size=1024k\n',
    '/usr/lib/x86_64-linux-gnu/libxshmfence.so.1': 'ELF\0XSHMFENCE_NO_MEMFD\0',
    '/proc/sys/kernel/osrelease': '6.12.1-amd64\n',
    '/proc/sys/kernel/io_uring_disabled': '0\n',
    '/sys/class/drm/renderD128/device/virtio3/features': `1101100${'0'.repeat(57)}\n`,
  };
  folders: Record<string, string[]> = { '/sys/class/drm': ['card0', 'renderD128', 'version'], '/sys/class/drm/renderD128/device': ['class', 'virtio3'] };
  links: Record<string, string> = { '/sys/class/drm/renderD128/device/virtio3/driver': '../../../bus/virtio/drivers/virtio_gpu' };
  accesses: Record<string, 'absent' | 'forbidden'> = {};
  free = 1 << 30;
  outputs: Record<string, string> = { 'qemu-system-x86_64 --version': 'QEMU emulator version 11.1.3 (Debian)', 'qemu-system-x86_64 -device help': 'name "vhost-user-test-device-pci", bus PCI' };
  bridge: Awaited<ReturnType<Machine['trial']>>['bridge'] = ok({ display: ':1', channel: 'socket', channelReason: 'it is near' });
  server: Awaited<ReturnType<Machine['trial']>>['server'] = ok({ vendor: 'The X.Org Foundation', release: 1, extensions: ['DRI3', 'MIT-SHM', 'Present'] });
  loaded: ReturnType<Machine['addon']> = ok('0.1.0');

  read = (path: string): string | undefined => this.files[path];
  list = (path: string): readonly string[] => this.folders[path] ?? [];
  link = (path: string): string | undefined => this.links[path];
  access = (path: string): 'absent' | 'forbidden' | 'usable' => this.accesses[path] ?? 'usable';
  space = (): { free: number; total: number } => ({ free: this.free, total: 1 << 31 });
  output = async (program: string, ...args: readonly string[]): Promise<string | undefined> => this.outputs[[program, ...args].join(' ')];
  fenceWatcher = (): string => 'io_uring';
  kvm: boolean | undefined = true;
  kvmBoots = (): boolean | undefined => this.kvm;
  fetched: string | undefined;
  fetchedQemu = (): string | undefined => this.fetched;
  virtgpu: Machine['virtgpu'] = () => ok('the virtio-gpu device of /dev/dri/renderD128 leads to the X11 channel of libkrun');
  sharing: Machine['sharing'] = () => undefined;
  addon = (): ReturnType<Machine['addon']> => this.loaded;
  trial = async (): ReturnType<Machine['trial']> => ({ bridge: this.bridge, server: this.server });
}

function onVirtiofs(machine: ScriptedMachine, sharing: ReturnType<Machine['sharing']>): void {
  // A kernel shows the option also where it can't map the host's memory.
  machine.files['/proc/self/mountinfo'] = '30 22 0:2 / /dev/shm rw - virtiofs shm rw,dax=inode\n';
  machine.sharing = () => sharing;
}

/** What the named check finds on a machine that differs from a good one. */
async function found(name: string, change: (machine: ScriptedMachine) => void): Promise<string> {
  const check = CHECKS.find((one) => one.name === name);
  assert.ok(check, name);
  const machine = new ScriptedMachine();
  change(machine);
  const { verdict, cause, remedy } = await check.run(machine);
  return `${verdict}: ${cause}${remedy === undefined ? '' : ` -> ${remedy}`}`;
}

describe('the doctor', () => {
  it('finds nothing to do on a machine that has everything', async () => {
    for await (const { name, verdict, cause, remedy } of examine(new ScriptedMachine())) assert.deepEqual([verdict, remedy], ['ok', undefined], `${name}: ${cause}`);
  });

  it('gives each check a name of its own', () => {
    const names = CHECKS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z]+(-[a-z]+)*$/);
  });

  it('finds every check useful on a machine that has nothing', async () => {
    const machine = new ScriptedMachine();
    Object.assign(machine, { files: {}, folders: {}, links: {}, outputs: {}, arch: 'riscv64', nodeVersion: '18.0.0', settings: err(failure('invalid-config', 'a fault')) });
    machine.access = () => 'absent';
    for await (const { cause, verdict, remedy } of examine(machine)) {
      assert.match(cause, /^[^\n]+[^\n.]$/);
      if (verdict === 'fault') assert.match(remedy ?? '', /^[^\n]+[^\n.]$/);
    }
  });

  it('looks only at what other systems have there', async () => {
    const machine = new ScriptedMachine();
    machine.platform = 'darwin';
    machine.trial = async () => assert.fail('no bridge runs there');
    const seen: string[] = [];
    for await (const { name, verdict } of examine(machine)) seen.push(`${name} ${verdict}`);
    assert.deepEqual(seen, ['platform fault', 'node ok', 'configuration ok']);
  });

  const cases: readonly (readonly [check: string, what: string, change: (machine: ScriptedMachine) => void, expected: RegExp])[] = [
    ['platform', 'macOS', (machine) => (machine.platform = 'darwin'), /^fault: this is darwin; the bridge carries programs of Linux guests -> /],
    ['platform', 'another processor', (machine) => (machine.arch = 'riscv64'), /^fault: there is no addon for riscv64 -> /],
    ['node', 'an old Node', (machine) => (machine.nodeVersion = '20.16.9'), /^fault: 20\.16\.9 is too old -> install Node 20\.17/],
    ['node', 'a new Node', (machine) => (machine.nodeVersion = '24.0.0'), /^ok: 24/],
    ['addon', 'no addon', (machine) => (machine.loaded = err(failure('addon-missing', 'it could not be loaded (why): install it'))), /^fault: it could not be loaded \(why\) -> install it$/],
    ['configuration', 'a faulty file', (machine) => (machine.settings = err(failure('invalid-config', '/f:1: wrong'))), /^fault: \/f:1: wrong -> /],
    ['runtime-dir', 'a folder that cannot be', (machine) => (machine.settings = ok({ ...SETTINGS, runtimeDir: '/does/not/exist' })), /^fault: the runtime directory \/does\/not\/exist can't be made/],
    ['socket-folder', 'a foreign folder', (machine) => (machine.accesses = { '/tmp/.X11-unix': 'forbidden' }), /^fault: .* -> as root: chmod 1777/],
    ['socket-folder', 'no folder yet', (machine) => (machine.accesses = { '/tmp/.X11-unix': 'absent' }), /^note: /],
    ['bridge', 'a bridge that does not start', (machine) => (machine.bridge = err(failure('no-free-display', 'every number is taken'))), /^fault: every number is taken/],
    ['x-server', 'no server', (machine) => (machine.server = err("can't connect to X display :0: no X server is listening there")), /^fault: can't connect .* -> start the X server/],
    ['x-server', 'no cookie', (machine) => (machine.server = err('X display :0 refuses it: Authorization required')), /^fault: .* -> name the Xauthority file/],
    ['x-server', 'a silent server', (machine) => (machine.server = err('X display :0 did not answer within 4.5 s')), /^fault: .* -> see what listens there/],
    ['extensions', 'no DRI3', (machine) => (machine.server = ok({ vendor: '', release: 1, extensions: ['MIT-SHM', 'Present'] })), /^note: not there over socket: DRI3 \(/],
    ['open-files', 'a low limit', (machine) => (machine.files['/proc/self/limits'] = 'Max open files  256  4096 files'), /^note: 256 may be open, too few for 512 .*ulimit -n 3072/],
    ['render-node', 'no node', (machine) => (machine.folders = {}), /^note: there is none in \/dev\/dri/],
    ['render-node', 'no right to it', (machine) => (machine.accesses = { '/dev/dri/renderD128': 'forbidden' }), /^note: .* may not be opened -> .*usermod -aG render ada/],
    ['render-node', 'a real GPU', (machine) => (machine.links = { '/sys/class/drm/renderD128/device/driver': '../i915' }), /^note: \/dev\/dri\/renderD128 \(unknown driver\)/],
    ['gpu-features', 'a plain virtio-gpu', (machine) => (machine.files['/sys/class/drm/renderD128/device/virtio3/features'] = `0101000${'0'.repeat(57)}`), /^note: the device lacks VIRGL and CONTEXT_INIT/],
    ['cross-domain', 'a host without capset 5', (machine) => (machine.virtgpu = () => err(failure('channel-unavailable', 'the host offers no cross-domain contexts'))), /^note: the host offers no cross-domain contexts$/],
    ['page-size', '16 KiB', (machine) => (machine.files['/proc/self/smaps'] = 'KernelPageSize:       16 kB\n'), /^note: 16 KiB/],
    ['shared-memory', 'a full /dev/shm', (machine) => (machine.free = 4096), /^note: only 4 KiB are free/],
    ['shared-memory', 'virtiofs', (machine) => (machine.files['/proc/self/mountinfo'] = '30 22 0:2 / /dev/shm rw - virtiofs shm rw\n'), /^note: virtiofs without DAX/],
    ['shared-memory', 'virtiofs that copies', (machine) => onVirtiofs(machine, { isShared: false, hasNames: true }), /^note: virtiofs without DAX.* -> .*dax=inode/],
    ['shared-memory', 'virtiofs without names', (machine) => onVirtiofs(machine, { isShared: true, hasNames: false }), /^note: virtiofs with DAX, whose files have no names/],
    ['shared-memory', 'virtiofs with DAX', (machine) => onVirtiofs(machine, { isShared: true, hasNames: true }), /^ok: virtiofs with DAX/],
    ['shared-memory', 'no /dev/shm', (machine) => (machine.accesses = { '/dev/shm': 'absent' }), /^note: .* -> mount a tmpfs/],
    ['xshmfence', 'an old library', (machine) => (machine.files['/usr/lib/x86_64-linux-gnu/libxshmfence.so.1'] = 'ELF'), /^note: .* older than 1\.3\.3/],
    ['xshmfence', 'the variable', (machine) => (machine.env = { XSHMFENCE_NO_MEMFD: '1' }), /^ok: .* in \/dev\/shm, as XSHMFENCE_NO_MEMFD is set/],
    ['io-uring', 'an older kernel', (machine) => (machine.files['/proc/sys/kernel/osrelease'] = '6.6.9'), /^note: Linux 6\.6\.9 has none/],
    ['io-uring', 'a forbidden io_uring', (machine) => (machine.files['/proc/sys/kernel/io_uring_disabled'] = '2\n'), /^note: io_uring is switched off.* -> .*sysctl/],
    ['kvm', 'no right to it', (machine) => (machine.accesses = { '/dev/kvm': 'forbidden' }), /^note: .* -> .*usermod -aG kvm ada/],
    ['kvm', 'no KVM', (machine) => (machine.accesses = { '/dev/kvm': 'absent' }), /^note: there is no \/dev\/kvm/],
    ['kvm', 'a KVM that boots no guest', (machine) => (machine.kvm = false), /^note: .*did not boot a guest.* -> .*nested virtualization/],
    ['kvm', 'a KVM that nobody has tried', (machine) => (machine.kvm = undefined), /^ok: .*can be opened; whether it boots/],
    [
      'qemu',
      'a QEMU of its own alone',
      (machine) => {
        machine.fetched = '/cache/qemu';
        machine.outputs = { '/cache/qemu --version': 'QEMU emulator version 11.1.3', '/cache/qemu -device help': 'name "vhost-user-test-device-pci"' };
      },
      /^ok: version 11\.1\.3 with vhost-user-test-device-pci, which "npm run vm:setup" has fetched .*\/cache\/qemu/,
    ],
    ['qemu', 'no QEMU', (machine) => (machine.outputs = {}), /^note: qemu-system-x86_64 isn't installed/],
    ['qemu', 'an old QEMU', (machine) => (machine.outputs['qemu-system-x86_64 --version'] = 'QEMU emulator version 7.2.11'), /^note: version 7\.2\.11 is too old/],
    ['qemu', 'a QEMU without the device', (machine) => (machine.outputs['qemu-system-x86_64 -device help'] = ''), /^note: version 11\.1\.3 has no vhost-user-test-device-pci/],
  ];
  for (const [check, what, change, expected] of cases) {
    it(`tells ${what} by the check ${check}`, async () => assert.match(await found(check, change), expected));
  }
});
