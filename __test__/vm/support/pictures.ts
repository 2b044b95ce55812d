// A program drawn twice, in the guest and outside: the screens have to be the same in every pixel.

import assert from 'node:assert/strict';
import { Running } from '../../support/processes.js';
import type { Xvfb } from '../../support/xvfb.js';
import { attack } from '../../x11/support/attack.js';
import type { Sitter } from '../../x11/support/pictures.js';
import type { GuestPlace } from './place.js';

/** A guard against programs that never finish drawing; it measures nothing. */
const DRAWN_WITHIN_MS = 90_000;

interface Picture {
  readonly digest: string;
  readonly edges: number;
}

/** Runs the program on both sides until both screens are finished, and asserts that they are pixel-identical. */
export async function assertSamePicture(place: GuestPlace, { program, args = [], env = {}, edges }: Sitter): Promise<void> {
  await using inside = await place.guest.start(program, args, env);
  await using outside = new Running(program, args, { env: { ...place.env(place.direct), ...env }, limitMs: DRAWN_WITHIN_MS });
  const end = Date.now() + DRAWN_WITHIN_MS;
  for (;;) {
    const [guest, direct] = await Promise.all([stillPicture(place.host), stillPicture(place.direct)]);
    if (direct !== undefined && direct.edges >= edges && guest?.digest === direct.digest) break;
    assert.ok(await inside.isRunning(), `${program} has ended in the guest: ${inside.stderr}`);
    assert.equal(outside.child.exitCode, null, `${program} has ended outside: ${outside.stderr}`);
    assert.ok(Date.now() < end, `${program} has not drawn the same: ${JSON.stringify({ guest, direct })}`);
  }
}

/** The screen, if it is the same a moment later. */
async function stillPicture(server: Xvfb): Promise<Picture | undefined> {
  const first = await picture(server);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const second = await picture(server);
  return first.digest === second.digest ? second : undefined;
}

async function picture(server: Xvfb): Promise<Picture> {
  return (await attack(server.env, 'picture')) as unknown as Picture;
}
