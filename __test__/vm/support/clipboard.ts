// What one side copies, the other pastes; large enough to go in many pieces (INCR).

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { eventually, finish, Running } from '../../support/processes.js';
import type { GuestPlace } from './place.js';

const COPY = ['-quiet', '-verbose', '-selection', 'clipboard', '-loops', '1', '-in'];
const PASTE = ['-selection', 'clipboard', '-out'];
/** A guard: without KVM a MiB takes some seconds on a busy machine. */
const LIMIT_MS = 100_000;

/** xclip in the guest gives so much to one outside. */
export async function assertCopiedOut(place: GuestPlace, mebibytes: number): Promise<void> {
  const source = newSource(place, mebibytes);
  const copying = await place.guest.start('xclip', [...COPY, source]);
  await eventually('xclip owns the selection', () => copying.stderr.includes('Waiting for'));
  await assertPasted(source, () => pasteOutside(place));
  assert.equal((await copying.finished()).code, 0);
}

/** xclip outside gives so much to one in the guest. */
export async function assertCopiedIn(place: GuestPlace, mebibytes: number): Promise<void> {
  const source = newSource(place, mebibytes);
  await using copying = new Running('xclip', [...COPY, source], { env: place.env(place.host), limitMs: LIMIT_MS });
  await copying.untilOutput(/Waiting for/, 'stderr');
  await assertPasted(source, async () => {
    const { stdout, stderr } = await place.guest.run(`xclip ${PASTE.join(' ')} | sha256sum`);
    return { digest: stdout.split(' ')[0], stderr };
  });
  assert.equal((await copying.finished()).code, 0);
}

interface Pasted {
  readonly digest: string | undefined;
  readonly stderr: string;
}

/** Pastes once the clipboard has something: xclip says that it waits before the server has heard so. */
async function assertPasted(source: string, paste: () => Promise<Pasted>): Promise<void> {
  await eventually('the clipboard has something', async () => {
    const { digest: pasted, stderr } = await paste();
    if (stderr.includes('target STRING not available')) return false;
    assert.equal(pasted, digest(source), stderr);
    return true;
  });
}

function newSource(place: GuestPlace, mebibytes: number): string {
  const path = place.guest.file('source');
  writeFileSync(path, randomBytes(mebibytes << 19).toString('hex'));
  return path;
}

async function pasteOutside(place: GuestPlace): Promise<Pasted> {
  const target = place.guest.file('target');
  const output = openSync(target, 'w');
  const { stderr } = await finish('xclip', PASTE, { env: place.env(place.host), stdio: ['ignore', output, 'pipe'], limitMs: LIMIT_MS });
  closeSync(output);
  return { digest: digest(target), stderr };
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
