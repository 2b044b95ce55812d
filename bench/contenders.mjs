// Who is compared: the server itself, the bridge in its modes, and socat as the plain relay that everybody has.

import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Contender
 * @property {string} name heads its column
 * @property {Record<string, string>} env where x11-bench finds it
 * @property {number} [pid] of what stands between; none for the server itself
 */

/**
 * Starts them all in front of one server.
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @returns {Promise<Contender[]>}
 */
export async function startContenders(lab) {
  const host = await lab.startXvfb();
  return [
    { name: 'direct', env: host.env },
    await bridge(lab, host.env, 'loopback', ['--channel', 'loopback']),
    await bridge(lab, host.env, 'socket', ['--channel', 'socket']),
    await bridge(lab, host.env, 'loopback, spin off', ['--channel', 'loopback', '--spin', 'off']),
    await socat(lab, host.env, 'socat', []),
    await socat(lab, host.env, 'socat -b 262144', ['-b', '262144']),
  ];
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {import('../scripts/lab.mjs').DisplayEnv} host
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<Contender>}
 */
async function bridge(lab, host, name, args) {
  const { env, pid } = await lab.startBridge(host, args);
  return { name, env: { ...env }, pid };
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {import('../scripts/lab.mjs').DisplayEnv} host
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<Contender>}
 */
async function socat(lab, host, name, args) {
  const path = join(lab.dir, name.replaceAll(/\W+/g, '-'));
  const server = `UNIX-CONNECT:/tmp/.X11-unix/X${host.DISPLAY.slice(1)}`;
  const child = lab.start('socat', [...args, `UNIX-LISTEN:${path},fork,backlog=256`, server], { stdio: 'ignore' });
  await appears(lab.dir, path);
  // socat hands the server's own cookie through.
  return { name, env: { DISPLAY: path, XAUTHORITY: host.XAUTHORITY }, pid: child.pid ?? 0 };
}

/** @param {string} dir @param {string} path */
async function appears(dir, path) {
  const watcher = watch(dir);
  while (!existsSync(path)) await once(watcher, 'change');
  watcher.close();
}
