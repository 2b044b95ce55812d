// The stage on which a list of tests runs: two identical X servers, one reached directly, the other through a bridge.

import { after, before } from 'mocha';
import { startServe } from '../../support/command.js';
import { finish, Running, type Finished } from '../../support/processes.js';
import { TemporaryFolder } from '../../support/temporary.js';
import { startXvfb, type Xvfb } from '../../support/xvfb.js';

export type Channel = 'loopback' | 'socket';
export const CHANNELS: readonly Channel[] = ['loopback', 'socket'];

/** The extensions that each channel hides: they are bound to the server's own device. */
export const HIDDEN: Readonly<Record<Channel, readonly string[]>> = {
  loopback: ['DRI2', 'XFree86-DGA', 'XFree86-DRI'],
  socket: ['DRI2', 'XFree86-DGA', 'XFree86-DRI'],
};

/** A bridge that runs as the command. */
export interface ServedBridge {
  readonly display: string;
  readonly xauthority: string;
  readonly pid: number;
  /** What it says, one JSON text a line. */
  readonly command: Running;
}

/** Where a client runs. */
export type Side = 'direct' | 'bridged';
export const SIDES: readonly Side[] = ['direct', 'bridged'];

export interface StageOptions {
  /** Both servers have DRI3. */
  readonly dri3?: boolean;
  /** More arguments for the bridge. */
  readonly args?: readonly string[];
  /** The channels; all by default. */
  readonly channels?: readonly Channel[];
}

export class Stage {
  readonly folder = new TemporaryFolder();
  #parts: { direct: Xvfb; host: Xvfb; bridge: ServedBridge } | undefined;

  constructor(
    readonly channel: Channel,
    readonly options: StageOptions = {},
  ) {}

  /** The server that is reached directly. */
  get direct(): Xvfb {
    return this.#open().direct;
  }

  /** The server behind the bridge. */
  get host(): Xvfb {
    return this.#open().host;
  }

  get bridge(): ServedBridge {
    return this.#open().bridge;
  }

  async open(): Promise<void> {
    const { dri3 = false, args = [] } = this.options;
    const [direct, host] = await Promise.all([startXvfb({ auth: true, dri3 }), startXvfb({ auth: true, dri3 })]);
    this.#parts = { direct, host, bridge: await serve(host, ['--channel', this.channel, ...args]) };
  }

  async close(): Promise<void> {
    if (this.#parts === undefined) return;
    await stopBridge(this.#parts.bridge);
    await Promise.all([this.#parts.direct.stop(), this.#parts.host.stop()]);
    this.folder[Symbol.dispose]();
  }

  /** The server whose screen shows what clients of that side draw. */
  server(side: Side): Xvfb {
    return side === 'direct' ? this.direct : this.host;
  }

  /** A client's environment; but for the display it is the same on both sides. */
  env(side: Side): NodeJS.ProcessEnv {
    const { display, xauthority } = side === 'direct' ? this.direct : this.bridge;
    return clientEnv(display, xauthority, this.folder.path);
  }

  /** Runs a program to its end on one side. */
  run(side: Side, program: string, args: readonly string[] = []): Promise<Finished> {
    return finish(program, args, { env: this.env(side), cwd: this.folder.path });
  }

  /** Starts a program on one side. */
  start(side: Side, program: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Running {
    const stdio: 'pipe'[] = ['pipe', 'pipe', 'pipe'];
    return new Running(program, args, { env: { ...this.env(side), ...env }, cwd: this.folder.path, stdio, limitMs: 600_000 });
  }

  #open() {
    if (this.#parts === undefined) throw new Error('the stage is open only while its tests run');
    return this.#parts;
  }
}

/** Declares the same tests for every channel; each list has a stage of its own. */
export function overEveryChannel(title: string, tests: (stage: Stage) => void, options: StageOptions = {}): void {
  for (const channel of options.channels ?? CHANNELS) {
    describe(`${title} over ${channel}`, () => {
      const stage = new Stage(channel, options);
      before(() => stage.open());
      after(() => stage.close());
      tests(stage);
    });
  }
}

/** Starts a bridge in front of a server. */
export async function serve(host: Pick<Xvfb, 'env'>, args: readonly string[]): Promise<ServedBridge> {
  const { command, ready } = await startServe(args, { env: host.env, limitMs: 280_000 });
  return { display: ready.display, xauthority: ready.xauthority, pid: command.pid, command };
}

/** Ends a bridge as a user does, and waits for it. */
export async function stopBridge({ command }: ServedBridge): Promise<void> {
  command.child.kill('SIGTERM');
  await command.finished();
}

/** Nothing of the user's own settings, no session bus, no accessibility bus: what a client draws depends on the server alone. */
export function clientEnv(display: string, xauthority: string | undefined, home: string): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  const own = { HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home, LANG: 'C.UTF-8', TZ: 'UTC', NO_AT_BRIDGE: '1', DBUS_SESSION_BUS_ADDRESS: 'unix:path=/dev/null', GDK_BACKEND: 'x11', QT_QPA_PLATFORM: 'xcb' };
  return { ...own, ...(PATH !== undefined && { PATH }), DISPLAY: display, ...(xauthority !== undefined && { XAUTHORITY: xauthority }) };
}
