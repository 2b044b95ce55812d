// What the demo shows: three programs that have nothing in common but X11, each in its place on an empty screen.

import { setTimeout as sleep } from 'node:timers/promises';
import { StepError } from '../setup.mjs';
import { regionIsBlank, screenshot } from './picture.mjs';

const LINES = ['xterm, xclock and xeyes, each with its own connection:', 'text, curves, shapes and input, byte for byte.', '', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz', '0123456789 {}[]()<>|/\\ !"#$%&\'*+,-.:;=?@^_`~'];
const TEXT = `printf '%s\\n' ${LINES.map((line) => `'${line.replaceAll("'", String.raw`'\''`)}'`).join(' ')}; exec sleep 1000000`;

/** Stops xclock's clock: two clocks in one picture can only be compared if they show the same second. */
const STOPPED_CLOCK = { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: '2024-03-14 10:09:36', TZ: 'UTC' };

/** @typedef {{ x: number, y: number, width: number, height: number }} Region in pixels */
/** @type {ReadonlyArray<{ program: string, args: readonly string[], env: Record<string, string>, region: Region }>} `region` lies within the window */
export const SCENE = [
  { program: 'xclock', args: ['-analog', '-update', '1', '-geometry', '300x300+40+40'], env: STOPPED_CLOCK, region: { x: 40, y: 40, width: 300, height: 300 } },
  { program: 'xeyes', args: ['-geometry', '300x200+380+90'], env: {}, region: { x: 380, y: 90, width: 300, height: 200 } },
  { program: 'xterm', args: ['-geometry', '80x24+40+380', '-e', 'sh', '-c', TEXT], env: {}, region: { x: 44, y: 384, width: 400, height: 60 } },
];

/** A picture that has not changed for this long is finished; programs that are still starting draw sooner. */
const STILL_MS = 700;
const DRAWN_WITHIN_MS = 20_000;

/**
 * Starts the programs of the scene on a display; they end with the lab.
 * @param {import('../lab.mjs').Lab} lab
 * @param {Record<string, string>} display
 */
export function play(lab, display) {
  return SCENE.map(({ program, args, env }) => lab.start(program, args, { env: { ...env, ...display }, stdio: 'ignore' }));
}

/**
 * Awaits that every program of the scene has drawn, and that nothing moves any more.
 * @param {import('../lab.mjs').Lab} lab
 * @param {Record<string, string>} server
 * @returns {Promise<import('./picture.mjs').Picture>}
 */
export async function awaitStill(lab, server) {
  const end = Date.now() + DRAWN_WITHIN_MS;
  let last = await screenshot(lab, server);
  while (Date.now() < end) {
    await sleep(STILL_MS);
    const next = await screenshot(lab, server);
    const still = next.pixels.equals(last.pixels);
    if (still && !SCENE.some(({ region }) => regionIsBlank(next, region))) return next;
    last = next;
  }
  throw new StepError(`the programs had not all drawn within ${DRAWN_WITHIN_MS / 1000} s`);
}

