// Pictures of an X screen: taken by xwd, compared pixel for pixel, kept as PNG.

import { StepError } from '../setup.mjs';

/** @typedef {{ width: number, height: number, pixels: Buffer }} Picture 3 bytes a pixel: red, green, blue */

/**
 * Takes a picture of the whole screen.
 * @param {import('../lab.mjs').Lab} lab
 * @param {Record<string, string>} server
 * @returns {Promise<Picture>}
 */
export async function screenshot(lab, server) {
  return decode(await lab.output('xwd', ['-root', '-silent'], server));
}

/**
 * How many pixels differ.
 * @param {Picture} a
 * @param {Picture} b
 */
export function differingPixels(a, b) {
  if (a.width !== b.width || a.height !== b.height) return Math.max(a.width * a.height, b.width * b.height);
  let count = 0;
  for (let at = 0; at < a.pixels.length; at += 3) {
    if (a.pixels.compare(b.pixels, at, at + 3, at, at + 3) !== 0) count++;
  }
  return count;
}

/**
 * Whether a region has one colour only.
 * @param {Picture} picture
 * @param {import('./scene.mjs').Region} region
 */
export function regionIsBlank({ width, pixels }, region) {
  const row = (/** @type {number} */ y) => pixels.subarray((y * width + region.x) * 3, (y * width + region.x + region.width) * 3);
  const blank = Buffer.alloc(region.width * 3, row(region.y).subarray(0, 3));
  return Array.from({ length: region.height }, (_, y) => row(region.y + y)).every((line) => line.equals(blank));
}

/**
 * @param {Picture} picture
 * @returns {Promise<Buffer>} a PNG file
 */
export async function toPng({ width, height, pixels }) {
  // Loaded late: it is one of the packages that the set-up brings.
  const { PNG } = (await import('pngjs')).default;
  const png = new PNG({ width, height });
  png.data.fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) pixels.copy(png.data, pixel * 4, pixel * 3, pixel * 3 + 3);
  return PNG.sync.write(png);
}

/**
 * Decodes what xwd writes: a header of 32-bit numbers, most significant byte first, the colours, the rows.
 * @param {Buffer} file
 * @returns {Picture}
 */
function decode(file) {
  const [headerBytes = 0, , , , width = 0, height = 0, , byteOrder, , , , bitsPerPixel, bytesPerLine = 0, , , , , , , colours = 0] =
    Array.from({ length: 25 }, (_, index) => file.readUInt32BE(index * 4));
  if (bitsPerPixel !== 32 || byteOrder !== 0) throw new StepError('xwd made a picture that is not 32 bits a pixel with the least byte first');
  const start = headerBytes + colours * 12;
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const from = start + y * bytesPerLine + x * 4;
      pixels[to] = file[from + 2] ?? 0;
      pixels[to + 1] = file[from + 1] ?? 0;
      pixels[to + 2] = file[from] ?? 0;
    }
  }
  return { width, height, pixels };
}
