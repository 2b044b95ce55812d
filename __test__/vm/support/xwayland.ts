// A guest with Xwayland, and bridges to that in the same guest: one kernel has client, bridge and server, and a device for all three.

import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readManifest, vmCacheFolder } from '../../../dist/vm/cache.js';
import { COMMAND, ROOT } from '../../support/command.js';
import type { Finished } from '../../support/processes.js';
import { TemporaryFolder } from '../../support/temporary.js';
import { startXvfb, type Xvfb } from '../../support/xvfb.js';
import { clientProgram, type Sight } from '../../x11/support/attack.js';
import { clientEnv, type Channel } from '../../x11/support/stage.js';
import { TestGuest, type GuestProgram } from './guest.js';
import { qemuWithScreen } from './screen.js';

/** How a client comes to Xwayland. */
export type Way = 'direct' | Channel;

const NODE = '/usr/local/bin/node';
/** In MiB: compositor, server and client each have a renderer in software. */
const MEMORY = 2048;
/** Of the first device, QEMU's own: without 3D only its other node makes buffers, and programs look for one of this name. */
const DEVICE = 'rm /dev/dri/* && mknod -m 666 /dev/dri/renderD128 c 226 0';
const WAYLAND = { XDG_RUNTIME_DIR: '/run/xwayland', WAYLAND_DISPLAY: 'x11bridge' };
const SOCKET = join(WAYLAND.XDG_RUNTIME_DIR, WAYLAND.WAYLAND_DISPLAY);
const WESTON = ['--backend=headless', '--renderer=gl', '--shell=kiosk', '--no-config', '--idle-time=0', `--socket=${WAYLAND.WAYLAND_DISPLAY}`];
const XWAYLAND = ['-displayfd', '1', '-geometry', '800x600', '-ac', '-noreset', '-glamor', 'es'];
/** A guard, for a machine without KVM that has other things to do. */
const READY_SECONDS = 200;
/** Mesa without a GPU, by a name under which Xwayland takes it. */
const RENDERER = { MESA_LOADER_DRIVER_OVERRIDE: 'kms_swrast', force_gl_renderer: 'virgl' };

export class XwaylandGuest {
  #folder: TemporaryFolder | undefined;
  #host: Xvfb | undefined;
  #guest: TestGuest | undefined;
  #display = '';

  async open(): Promise<void> {
    this.#folder = new TemporaryFolder();
    this.#host = await startXvfb({ auth: true });
    this.#guest = await TestGuest.boot({ args: options(this.#folder), env: clientEnv(this.#host.display, this.#host.xauthority, '/tmp') });
    this.#display = await startXwayland(this.#guest);
  }

  async close(): Promise<void> {
    await this.#guest?.[Symbol.asyncDispose]();
    await this.#host?.stop();
    this.#folder?.[Symbol.dispose]();
  }

  /** Runs a program to its end on that way, in a bridge of its own where it is a channel. */
  async run(way: Way, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
    if (this.#guest === undefined) throw new Error('the guest is there only while its tests run');
    const words = way === 'direct' ? [program, ...args] : [NODE, COMMAND, 'run', '--channel', way, '--', program, ...args];
    const [first = '', ...rest] = words;
    const running = await this.#guest.start(first, rest, { DISPLAY: this.#display, ...env });
    return running.finished();
  }

  /** What a script of x11-descriptors saw. */
  async sight(way: Way, ...args: readonly string[]): Promise<Sight> {
    const { stdout, stderr } = await this.run(way, clientProgram('x11-descriptors'), args);
    assert.match(stdout, /^\{(?!"error")/, stdout + stderr);
    return JSON.parse(stdout) as Sight;
  }
}

/** The guest has the files of Debian 13 from the cache; this checkout plays an installed package. */
function options(folder: TemporaryFolder): string[] {
  const { xwayland = '' } = readManifest(vmCacheFolder(process.env)).roots;
  mkdirSync(folder.file('node_modules'));
  symlinkSync(ROOT, folder.file('node_modules/x11bridge'));
  const shared = [ROOT, dirname(clientProgram('x11-descriptors'))].flatMap((path) => ['--share', path]);
  return ['--root', join(vmCacheFolder(process.env), xwayland), '--package', folder.path, ...shared, '--qemu', qemuWithScreen(folder), '--memory', String(MEMORY)];
}

/** Starts a compositor without a screen, and Xwayland in it; returns Xwayland's display. */
async function startXwayland(guest: TestGuest): Promise<string> {
  const { code, stderr } = await guest.run(`${DEVICE} && mkdir -m 700 ${WAYLAND.XDG_RUNTIME_DIR}`);
  assert.equal(code, 0, stderr);
  const weston = await guest.start('weston', WESTON, { ...WAYLAND, ...RENDERER });
  await ready(guest, weston, `-S ${SOCKET}`);
  const xwayland = await guest.start('Xwayland', XWAYLAND, { ...WAYLAND, ...RENDERER });
  await ready(guest, xwayland, `-s ${xwayland.files.stdout}`);
  return `:${xwayland.stdout.trim()}`;
}

/** Waits until a program has made a file. The guest looks itself, since it has little time for anything else. */
async function ready(guest: TestGuest, program: GuestProgram, file: string): Promise<void> {
  const { code } = await guest.run(`for second in $(seq ${READY_SECONDS}); do test ${file} && exit 0; sleep 1; done; exit 1`);
  assert.equal(code, 0, `${program.stdout}${program.stderr}`);
}
