// A lab for the demo and the benchmark: X servers, bridges and clients that all end when the script does, also on Ctrl-C.

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT, StepError } from './setup.mjs';
import { SHIMS } from './shims.mjs';

/** The command: as built here, or another build of it to be tried by the same demo and benchmark. */
export const CLI = process.env.X11BRIDGE_CLI ?? join(ROOT, 'dist/cli/main.js');
/** Nothing here takes this long; it guards against hangs. */
const HANG_GUARD_MS = 120_000;

/**
 * @typedef {{ DISPLAY: string, XAUTHORITY: string }} DisplayEnv what a client needs to find its display
 * @typedef {{ env: DisplayEnv, pid: number, stop: () => Promise<void> }} Server
 * @typedef {{ event: string, [field: string]: string | number }} BridgeEvent a line of `x11bridge serve --json`
 */

export class Lab {
  /** A folder of the lab's own, gone when the lab closes. */
  dir = mkdtempSync(join(tmpdir(), 'x11bridge-lab-'));
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #running = new Set();

  constructor() {
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.once(signal, async () => {
        await this.close();
        process.kill(process.pid, signal);
      });
    }
  }

  /**
   * Starts a program that ends with the lab.
   * @param {string} program
   * @param {readonly string[]} args
   * @param {{ env?: Record<string, string>, stdio?: import('node:child_process').StdioOptions }} [options] `env` is added to the environment
   */
  start(program, args, { env = {}, stdio = ['pipe', 'pipe', 'inherit'] } = {}) {
    const child = spawn(program, args, { cwd: this.dir, env: { ...process.env, ...env }, stdio });
    this.#running.add(child);
    child.once('exit', () => this.#running.delete(child));
    child.once('error', (error) => {
      this.#running.delete(child);
      console.error(`${program} could not be started: ${error.message}`);
    });
    return child;
  }

  /**
   * An Xvfb of 1280×1024×24 on a free display, with a cookie of its own. Two of them are identical but for the number.
   * @param {{ dri3?: boolean }} [options] `dri3`: with the library of scripts/shims.mjs that gives it DRI3
   * @returns {Promise<Server>}
   */
  async startXvfb({ dri3 = false } = {}) {
    const cookie = randomBytes(16);
    const authority = join(this.dir, `server-${cookie.toString('hex')}`);
    writeFileSync(authority, authorityEntry('', cookie), { mode: 0o600 });
    // A number that nobody else takes: one that another server is just giving up loses its socket by that. -noreset: otherwise the server starts anew, and drops who is just connecting, whenever its last client leaves.
    const args = [`:${randomInt(20_000, 59_000)}`, '-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp', '-noreset', '-auth', authority];
    const env = dri3 ? { LD_PRELOAD: join(SHIMS, 'server.so') } : {};
    const child = this.start('Xvfb', args, { env, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    const number = await firstLine(child, child.stdio[3], 'Xvfb');
    writeFileSync(authority, authorityEntry(number, cookie), { mode: 0o600 });
    return server(child, { DISPLAY: `:${number}`, XAUTHORITY: authority });
  }

  /**
   * `x11bridge serve` in front of a server.
   * @param {Record<string, string>} host the server's environment
   * @param {readonly string[]} args options of `serve`
   * @returns {Promise<Server & { channel: string, events: BridgeEvent[] }>} `events` grows while the bridge runs; when `stop` returns it is complete
   */
  async startBridge(host, args) {
    const child = this.start(process.execPath, [CLI, 'serve', '--json', '--log-level', 'error', ...args], { env: host });
    /** @type {BridgeEvent[]} */
    const events = [];
    const ready = parse(await firstLine(child, child.stdout, 'x11bridge serve', (line) => events.push(parse(line))));
    const env = { DISPLAY: String(ready.display), XAUTHORITY: String(ready.xauthority) };
    return { ...server(child, env), channel: String(ready.channel), events };
  }

  /**
   * Runs a program to its end, within a time limit.
   * @param {string} program
   * @param {readonly string[]} args
   * @param {Record<string, string>} env added to the environment
   * @param {number} [limitMs]
   * @returns {Promise<Buffer>} what it wrote to its standard output
   */
  async output(program, args, env, limitMs = HANG_GUARD_MS) {
    const child = this.start(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout?.on('data', (chunk) => chunks.push(chunk));
    const [code, signal] = await once(child, 'close');
    clearTimeout(limit);
    const text = Buffer.concat(chunks);
    if (code !== 0) throw new StepError(`${program} failed (${signal ?? `exit code ${code}`}): ${text.toString().slice(0, 500)}`);
    return text;
  }

  /** Ends everything, last started first, and removes the folder. */
  async close() {
    for (const child of [...this.#running].reverse()) await end(child);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/**
 * Builds the test programs of crates/testkit.
 * @returns {{ bench: string, attack: string }} their paths
 */
export function buildTestkit() {
  const args = ['build', '--release', '--package', 'x11bridge-testkit', '--bins', '--message-format=json-render-diagnostics'];
  const done = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
  if (done.status !== 0) throw new StepError('the test programs could not be built; what cargo says is above');
  const messages = done.stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
  const path = (/** @type {string} */ name) => messages.find((message) => message.executable && message.target.name === name).executable;
  return { bench: path('x11-bench'), attack: path('x11-attack') };
}

/**
 * The first line of a stream, or the failure of the program before that.
 * @param {import('node:child_process').ChildProcess} child
 * @param {any} stream
 * @param {string} name for the message
 * @param {(line: string) => void} [onLater] gets all later lines
 * @returns {Promise<string>}
 */
export function firstLine(child, stream, name, onLater = () => {}) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new StepError(`${name} was not ready within ${HANG_GUARD_MS / 1000} s`)), HANG_GUARD_MS);
    const lines = createInterface({ input: stream });
    lines.once('line', (line) => {
      clearTimeout(limit);
      resolve(line);
      lines.on('line', onLater);
    });
    child.once('close', (code) => {
      clearTimeout(limit);
      reject(new StepError(`${name} ended with exit code ${code} before it was ready`));
    });
  });
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {DisplayEnv} env
 * @returns {Server}
 */
function server(child, env) {
  return { env, pid: child.pid ?? 0, stop: () => end(child) };
}

/**
 * Asks a program to end, then makes it.
 * @param {import('node:child_process').ChildProcess} child
 */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  const limit = setTimeout(() => child.kill('SIGKILL'), HANG_GUARD_MS / 3);
  child.kill('SIGTERM');
  await closed;
  clearTimeout(limit);
}

/**
 * One entry of an Xauthority file, for every host (FamilyWild).
 * @param {string} display its number; '' for any
 * @param {Buffer} cookie
 */
function authorityEntry(display, cookie) {
  const fields = [Buffer.alloc(0), Buffer.from(display), Buffer.from('MIT-MAGIC-COOKIE-1'), cookie];
  const counted = fields.map((field) => Buffer.concat([Buffer.from([field.length >> 8, field.length & 255]), field]));
  return Buffer.concat([Buffer.from([0xff, 0xff]), ...counted]);
}

/** @param {string} line @returns {BridgeEvent} */
function parse(line) {
  return JSON.parse(line);
}
