// Images and frames in shared memory: MIT-SHM with System V segments against PutImage, and Mesa's gears over DRI3.

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SHIMS } from '../scripts/shims.mjs';
import { StepError } from '../scripts/setup.mjs';
import { median } from './measure.mjs';

const SEGMENTS = join(SHIMS, 'segments');
const MESA = { LD_PRELOAD: join(SHIMS, 'client.so'), MESA_LOADER_DRIVER_OVERRIDE: 'kms_swrast', vblank_mode: '0' };
/** Of the frames that go directly, so many go through the bridge at least. */
const GEARS_MIN = 0.8;

/**
 * Per second; the gears say theirs after five seconds.
 * @typedef {{ name: string, segments: number, images: number, gears: number }} BufferResults
 */

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {number} images how many are put in a round
 * @param {number} rounds over all contenders, of which the median counts
 * @returns {Promise<BufferResults[]>} the server itself first
 */
export async function measureBuffers(lab, images, rounds) {
  const host = await lab.startXvfb({ dri3: true });
  const contenders = [{ name: 'direct', env: host.env }];
  for (const channel of ['loopback', 'socket']) {
    contenders.push({ name: channel, env: (await lab.startBridge(host.env, ['--channel', channel])).env });
  }
  const samples = contenders.map(({ name, env }) => ({ name, env, segments: /** @type {number[]} */ ([]), images: /** @type {number[]} */ ([]) }));
  for (let round = 0; round < rounds; round++) {
    for (const sample of samples) {
      sample.segments.push(await perSecond(lab, sample.env, 'frames', images));
      sample.images.push(await perSecond(lab, sample.env, 'images-plain', images));
    }
  }
  const results = [];
  for (const sample of samples) {
    await assertDrawn(lab, sample.env);
    results.push({ name: sample.name, segments: median(sample.segments), images: median(sample.images), gears: await gears(lab, sample.env) });
  }
  return results;
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {Record<string, string>} env
 * @param {string} script
 * @param {number} images
 */
async function perSecond(lab, env, script, images) {
  return Number((await lab.output(SEGMENTS, [script, String(images)], env)).toString());
}

/** @param {readonly BufferResults[]} results */
export function reportBuffers(results) {
  const line = (/** @type {string} */ what, /** @type {'segments' | 'images' | 'gears'} */ row) =>
    `  ${what.padEnd(46)}${results.map((result) => result[row].toFixed(0).padStart(10)).join('')}`;
  const verdicts = results.slice(1).flatMap(({ name, segments, images, gears: frames }) => {
    const share = frames / (results[0]?.gears ?? 1);
    return [
      verdict(share >= GEARS_MIN, `frames of es2gears over ${name}: ${share.toFixed(2)} × direct (at least ${GEARS_MIN})`),
      verdict(segments >= images, `images from segments over ${name}: ${(segments / images).toFixed(2)} × PutImage (at least 1)`),
    ];
  });
  return [
    `Shared memory, per second${''.padEnd(23)}${results.map(({ name }) => name.padStart(10)).join('')}`,
    line('ShmPutImage 500×500, System V segment, in step', 'segments'),
    line('PutImage 500×500, in step', 'images'),
    line('frames of es2gears over DRI3', 'gears'),
    ...verdicts,
  ].join('\n');
}

/** @param {readonly BufferResults[]} results */
export function buffersAreGood(results) {
  return results.slice(1).every(({ gears: frames, segments, images }) => frames >= GEARS_MIN * (results[0]?.gears ?? 1) && segments >= images);
}

/** @param {boolean} met @param {string} text */
function verdict(met, text) {
  return `  ${met ? 'met   ' : 'MISSED'}  ${text}`;
}

/**
 * A measure of what is wrong would be worth nothing.
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {Record<string, string>} env
 */
async function assertDrawn(lab, env) {
  const seen = (await lab.output(SEGMENTS, ['images'], env)).toString();
  if (!/^whole: 0 wrong pixels$/m.test(seen) || !/^got: 0 wrong pixels$/m.test(seen)) throw new StepError(`images from segments are wrong: ${seen}`);
}

/**
 * @param {import('../scripts/lab.mjs').Lab} lab
 * @param {Record<string, string>} env
 */
async function gears(lab, env) {
  const child = lab.start('stdbuf', ['-oL', 'es2gears_x11'], { env: { ...env, ...MESA }, stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const line of createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) })) {
    const frames = / = (\d+(?:\.\d+)?) FPS/.exec(line)?.[1];
    if (frames === undefined) continue;
    child.kill('SIGTERM');
    return Number(frames);
  }
  throw new StepError('es2gears_x11 ended before it had said how many frames it shows');
}
