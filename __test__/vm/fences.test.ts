// Fences between a program in a guest that uses the real libxshmfence, and an X server of the host: two kernels.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { COMMAND, ROOT } from '../support/command.js';
import { eventually, Running } from '../support/processes.js';
import { extent } from './support/extent.js';
import { memoryFiles } from './support/memory-files.js';
import { inOneGuest, type GuestPlace } from './support/place.js';

const FENCES = join(ROOT, 'build/shims/fences');
/** On the memory that the host has too, which libxshmfence before 1.3.3 does not use by itself. */
const SHARED = '/dev/shm';
/** More than the window of that memory has room for: 128 files at the very most. */
const CROWD = extent({ quick: 150, all: 300 });
const ROOM_MAX = 128;
/** Each would be a message if somebody slept. */
const ALONE = 100_000;
/** What the thread that watches does because strace stops it, and once more if it was late. */
const STRAY_CALLS = 20;
/** In the whole run as many as it takes to meet a lost wake that is rare. */
const CYCLES = extent({ quick: 2000, all: 100_000 });
const KILLED = extent({ quick: 5, all: 40 });

inOneGuest(
  'fences in a guest',
  [],
  (place) => {
    for (const [mode, cycles] of [
      ['present', CYCLES],
      ['trigger', CYCLES / 10],
    ] as const) {
      it(`${cycles} cycles of ${mode} and await lose no wake`, async function () {
        this.timeout(1_500_000);
        const { code, stdout, stderr } = await place.guest.run(`'${FENCES}' ${mode} ${cycles}`);
        assert.deepEqual([code, stdout, stderr], [0, `cycles ${cycles}\n`, '']);
      });
    }

    for (const [mode, cycles] of [
      ['present', CYCLES],
      ['trigger', CYCLES],
      ['signals', 50],
    ] as const) {
      it(`${cycles} cycles of ${mode} and await over memory of both kernels lose no wake`, async function () {
        this.timeout(1_500_000);
        const { code, stdout, stderr } = await place.guest.run(`'${FENCES}' ${mode} ${cycles} ${SHARED}`);
        assert.deepEqual([code, stdout, stderr], [0, `cycles ${cycles}\n`, '']);
      });
    }

    describe('with fences relayed over pages in memory of both kernels, as on a host that relays none', () => {
      const paged = (mode: string, cycles: number): string => `'${process.execPath}' '${COMMAND}' run --channel virtgpu --dri3 on --fences relay -- '${FENCES}' ${mode} ${cycles}`;

      for (const [mode, cycles] of [
        ['present', CYCLES / 4],
        ['trigger', CYCLES / 10],
        ['signals', 50],
        ['many', 50],
      ] as const) {
        it(`${cycles} cycles of ${mode} and await lose no wake`, async function () {
          this.timeout(1_500_000);
          const { code, stdout, stderr } = await place.guest.run(paged(mode, cycles));
          assert.deepEqual([code, stdout, stderr], [0, `cycles ${cycles}\n`, '']);
        });
      }

      it('the page is there as long as its client', async () => {
        await eventually('no other file is there', () => memoryFiles(place).length === 0);
        await using client = await place.guest.start('sh', ['-c', `exec ${paged('present', 100_000_000)}`]);
        await eventually('the page is there', () => memoryFiles(place).length > 0);
        await client.signal('TERM');
        await client.finished();
        await eventually('the page is gone', () => memoryFiles(place).length === 0);
      });
    });

    it('a program of the host that sleeps on a shared fence is woken by one of the guest, time after time', async function () {
      this.timeout(1_500_000);
      await eventually('no other file is there', () => memoryFiles(place).length === 0);
      const cycles = CYCLES / 4;
      await using caller = await place.guest.start(FENCES, ['call', String(cycles), SHARED]);
      await eventually('the file is there', () => memoryFiles(place).length > 0);
      const [file = ''] = memoryFiles(place);
      await using answering = new Running(FENCES, ['answer', String(cycles), file], { limitMs: 1_400_000 });
      const [there, here] = [await answering.finished(), await caller.finished()];
      assert.deepEqual([there.stdout, there.stderr, here.stdout, here.stderr], [`cycles ${cycles}\n`, '', `cycles ${cycles}\n`, '']);
    });

    it('a shared fence that nobody sleeps on costs the thread that watches no system call', async () => {
      const { code, stdout, stderr } = await place.guest.run(`
        cd $(mktemp -d) && mkfifo go && { '${FENCES}' alone ${ALONE} ${SHARED} < go > out & } && exec 9> go
        until grep -q ready out; do sleep 0.1; done
        thread=$(basename $(dirname $(grep -lx x11bridge-fence /proc/[0-9]*/task/*/comm)))
        strace -o calls -p $thread 2> attached & tracer=$!
        until grep -q attached attached; do sleep 0.1; done
        echo >&9
        until grep -q cycles out; do sleep 0.1; done
        kill -INT $tracer; wait $tracer; wc -l < calls; echo >&9; wait`);
      assert.equal(code, 0, stderr);
      assert.ok(Number(stdout) <= STRAY_CALLS, `${stdout} for ${ALONE} triggers`);
    });

    it('more fences at once than there is room for are relayed, which is counted and said once', async function () {
      this.timeout(1_500_000);
      const before = await totals(place);
      for (let round = 0; round < 2; round++) {
        const { code, stdout, stderr } = await place.guest.run(`'${FENCES}' many ${CROWD} ${SHARED}`);
        assert.deepEqual([code, stdout, stderr], [0, `cycles ${CROWD}\n`, '']);
      }
      const sum = ({ fencesShared, fencesCrowdedOut }: Totals): number => fencesShared + fencesCrowdedOut;
      const after = await totalsOf(place, (now) => sum(now) >= sum(before) + 2 * CROWD);
      const [shared, crowdedOut] = [after.fencesShared - before.fencesShared, after.fencesCrowdedOut - before.fencesCrowdedOut];
      assert.ok(shared + crowdedOut === 2 * CROWD && shared >= 90 && crowdedOut >= 2 * (CROWD - ROOM_MAX), `${shared} and ${crowdedOut}`);
      assert.equal(place.guest.command.stderr.split('fences are relayed, as /dev/shm has no more memory').length, 2, place.guest.command.stderr);
    });

    it('programs are told to keep their fences where they can be shared', async () => {
      const { stdout } = await place.guest.run('echo "$XSHMFENCE_NO_MEMFD"');
      assert.equal(stdout, '1\n');
      const unset = await place.guest.run(`env -u XSHMFENCE_NO_MEMFD '${process.execPath}' '${COMMAND}' run --channel virtgpu --fences relay -- sh -c 'echo "$XSHMFENCE_NO_MEMFD"'`);
      assert.equal(unset.stdout, '\n', unset.stderr);
    });

    it('with fences shared, one in memory of the guest alone is refused', async () => {
      const bridge = `'${process.execPath}' '${COMMAND}' run --channel virtgpu --dri3 on --fences shared --`;
      const shared = await place.guest.run(`${bridge} '${FENCES}' trigger 50 ${SHARED}`);
      assert.deepEqual([shared.code, shared.stdout], [0, 'cycles 50\n'], shared.stderr);
      const refused = await place.guest.run(`${bridge} env -u XSHMFENCE_NO_MEMFD '${FENCES}' trigger 50`);
      assert.equal(refused.code, 1);
      // Match, of DRI3's FenceFromFD.
      assert.match(refused.stderr, /fences: error 8 of \d+\.4\n/);
    });

    it('a program full of signals loses none either', async () => {
      const { code, stdout, stderr } = await place.guest.run(`'${FENCES}' signals 200`);
      assert.deepEqual([code, stdout, stderr], [0, 'cycles 200\n', '']);
    });

    for (const [what, where] of [
      ['memory of their own', []],
      ['memory of both kernels', [SHARED]],
    ] as const) {
      it(`clients with fences in ${what} that are killed at any moment, on a machine under load, do others no harm`, async function () {
        this.timeout(900_000);
        await using load = await place.guest.start('sh', ['-c', 'while :; do :; done']);
        const lasting = await place.guest.start(FENCES, ['present', String(CYCLES / 10), ...where]);
        for (let round = 0; round < KILLED; round++) {
          await using client = await place.guest.start(FENCES, ['present', '100000000', ...where]);
          await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 300));
          await client.signal('KILL');
          await eventually('it is gone', async () => !(await client.isRunning()));
        }
        await load.signal('KILL');
        assert.equal((await lasting.finished()).stdout, `cycles ${CYCLES / 10}\n`);
      });
    }
  },
  { dri3: true },
);

interface Totals {
  readonly fencesShared: number;
  readonly fencesRelayed: number;
  readonly fencesCrowdedOut: number;
}

/** What the guest's bridge has counted. */
async function totals(place: GuestPlace): Promise<Totals> {
  const { stdout, stderr } = await place.guest.run(`'${process.execPath}' '${COMMAND}' status --json`);
  assert.ok(stdout.startsWith('{'), stdout + stderr);
  return (JSON.parse(stdout) as { stats: { totals: Totals } }).stats.totals;
}

/** The same once it has counted what it was to: a client's thread tells when it comes to rest. */
async function totalsOf(place: GuestPlace, isComplete: (totals: Totals) => boolean): Promise<Totals> {
  let found: Totals | undefined;
  await eventually('it is counted', async () => isComplete((found = await totals(place))));
  assert.ok(found !== undefined);
  return found;
}
