// X servers of the tests' own.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { ROOT, unusedDisplay } from './command.js';
import { finish, Running } from './processes.js';
import { TemporaryFolder } from './temporary.js';

export interface XvfbOptions {
  /** Ask clients for a cookie; `xauthority` then names the file with it. Default: everybody on this machine may connect. */
  readonly auth?: boolean;
  /** Default 1280x1024x24. */
  readonly screen?: string;
  /** DRI3, with files in memory as buffers. */
  readonly dri3?: boolean;
  /** More arguments for Xvfb. */
  readonly args?: readonly string[];
}

/** A running X server; `await using`, or call `stop`. */
export interface Xvfb extends AsyncDisposable {
  /** Such as `:7`. */
  readonly display: string;
  /** The path of its Unix socket. */
  readonly socketPath: string;
  /** Only with `auth`. */
  readonly xauthority: string | undefined;
  /** Only with `auth`: 16 bytes in hexadecimal. */
  readonly cookie: string | undefined;
  /** DISPLAY and, with `auth`, XAUTHORITY, over the rest of this process's environment. */
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts an X server and waits until clients can connect. */
export async function startXvfb(options: XvfbOptions = {}): Promise<Xvfb> {
  const folder = new TemporaryFolder();
  const xauthority = options.auth ? folder.file('Xauthority') : undefined;
  const cookie = options.auth ? randomBytes(16).toString('hex') : undefined;
  // The server takes every cookie in its file, whatever display the entry names; its own number isn't known yet.
  await addCookie(xauthority, ':0', cookie);
  const server = new Running('Xvfb', xvfbArguments(options, xauthority), { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], limitMs: 1_800_000, env: serverEnv(options) });
  try {
    const display = `:${await chosenNumber(server)}`;
    await addCookie(xauthority, display, cookie);
    const stop = async (): Promise<void> => {
      server.child.kill('SIGTERM');
      await server.finished();
      folder[Symbol.dispose]();
    };
    return {
      display,
      socketPath: `/tmp/.X11-unix/X${display.slice(1)}`,
      xauthority,
      cookie,
      env: environment(display, xauthority),
      pid: server.pid,
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
    throw error;
  }
}

/** The library of crates/testkit/shims that the server or a client is started with. */
export function shim(name: 'server' | 'client'): string {
  return join(ROOT, 'build/shims', `${name}.so`);
}

function serverEnv({ dri3 = false }: XvfbOptions): NodeJS.ProcessEnv {
  return { ...process.env, ...(dri3 && { LD_PRELOAD: shim('server') }) };
}

function xvfbArguments({ screen = '1280x1024x24', args = [] }: XvfbOptions, xauthority: string | undefined): string[] {
  const auth = xauthority === undefined ? ['-ac'] : ['-auth', xauthority];
  // Servers that choose their number themselves take one that another is just giving up, whose last step is to remove the socket.
  // Without -noreset the server forgets everything when its last client leaves.
  return [unusedDisplay(), '-displayfd', '3', '-screen', '0', screen, '-nolisten', 'tcp', '-noreset', ...auth, ...args];
}

async function addCookie(file: string | undefined, display: string, cookie: string | undefined): Promise<void> {
  if (file === undefined || cookie === undefined) return;
  const { code, stderr } = await finish('xauth', ['-q', '-f', file, 'add', display, '.', cookie]);
  if (code !== 0) throw new Error(`xauth failed: ${stderr}`);
}

/** Xvfb writes its number to descriptor 3 when it is ready. */
async function chosenNumber(server: Running): Promise<string> {
  let text = '';
  for await (const chunk of server.child.stdio[3] as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.includes('\n')) return text.trim();
  }
  throw new Error(`Xvfb did not start: ${server.stderr}`);
}

function environment(display: string, xauthority: string | undefined): NodeJS.ProcessEnv {
  const { XAUTHORITY: _, ...rest } = process.env;
  return { ...rest, DISPLAY: display, ...(xauthority !== undefined && { XAUTHORITY: xauthority }) };
}
