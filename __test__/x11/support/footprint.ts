// What a process holds, from /proc.

import { readdirSync, readFileSync } from 'node:fs';
import { eventually } from '../../support/processes.js';

export interface Footprint {
  readonly fds: number;
  readonly threads: number;
  readonly memoryKib: number;
}

export function footprint(pid: number): Footprint {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    fds: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    memoryKib: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]),
  };
}

/** Waits until the process holds no more descriptors and threads than before: closing a client takes a moment. */
export async function untilFlat(pid: number, before: Footprint): Promise<Footprint> {
  let now = footprint(pid);
  const flat = eventually('descriptors and threads are as many as before', () => {
    now = footprint(pid);
    return now.fds <= before.fds && now.threads <= before.threads;
  });
  await flat.catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(before)}, then ${JSON.stringify(now)}`);
  });
  return now;
}
