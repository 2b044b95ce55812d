// Screens, compared pixel by pixel: what programs drew directly, and what the same programs drew through the bridge.

import assert from 'node:assert/strict';
import { eventually, type Running } from '../../support/processes.js';
import type { Xvfb } from '../../support/xvfb.js';
import { attack } from './attack.js';
import { SIDES, type Side, type Stage } from './stage.js';

/** A guard against programs that never finish drawing; it measures nothing. */
const DRAWN_WITHIN_MS = 120_000;

interface Picture {
  readonly digest: string;
  /** Neighbouring pixels that differ: how much there is to see. */
  readonly edges: number;
}

/** A program to look at. */
export interface Sitter {
  readonly program: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** What is written to its standard input, which then stays open. */
  readonly input?: string;
  /** So many edges there are at least when it has drawn everything. */
  readonly edges: number;
}

/** Runs the program on both sides until both screens are finished, and asserts that they are pixel-identical. */
export async function assertSamePicture(stage: Stage, sitter: Sitter): Promise<void> {
  await beside(SIDES.map((side) => sit(stage, side, sitter)), (running) => assertSameScreens(stage, running, sitter.edges));
  // The next test begins with empty screens.
  await eventually('the screens are empty again', async () => {
    const pictures = await Promise.all(SIDES.map((side) => picture(stage.server(side))));
    return pictures.every(({ edges }) => edges === 0);
  });
}

/** Waits until what the running programs draw is finished, and asserts that both screens are pixel-identical. */
export async function assertSameScreens(stage: Stage, running: readonly Running[], edges: number): Promise<void> {
  const end = Date.now() + DRAWN_WITHIN_MS;
  for (;;) {
    assertRunning(running);
    const [direct, bridged] = await Promise.all(SIDES.map((side) => look(stage.server(side))));
    if (direct?.still && direct.edges >= edges && bridged?.still && direct.digest === bridged.digest) return;
    assert.ok(Date.now() < end, `the screens are not the same: ${JSON.stringify({ direct, bridged })}`);
  }
}

/** Ends the programs when the work is done, however it ends. */
export async function beside(running: readonly Running[], work: (running: readonly Running[]) => Promise<void>): Promise<void> {
  try {
    await work(running);
  } finally {
    await Promise.all(running.map((program) => program[Symbol.asyncDispose]()));
  }
}

function sit(stage: Stage, side: Side, { program, args = [], env = {}, input }: Sitter): Running {
  const running = stage.start(side, program, args, env);
  if (input !== undefined) running.child.stdin?.write(input);
  return running;
}

function assertRunning(programs: readonly Running[]): void {
  for (const { child, stderr } of programs) {
    assert.equal(child.exitCode ?? child.signalCode, null, `the program has ended: ${stderr}`);
  }
}

/** Two looks, a moment apart. */
async function look(server: Xvfb): Promise<Picture & { still: boolean }> {
  const first = await picture(server);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const second = await picture(server);
  return { ...second, still: first.digest === second.digest };
}

async function picture(server: Xvfb): Promise<Picture> {
  return (await attack(server.env, 'picture')) as unknown as Picture;
}
