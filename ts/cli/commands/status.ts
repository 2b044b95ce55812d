// `x11bridge status`: a running bridge and its clients.

import { findBridge } from '../find-bridge.js';
import type { Looking } from '../looking-commands.js';
import { painter } from '../paint.js';
import { statusText } from '../status-text.js';
import { complainAbout, say } from '../terminal.js';
import { jsonLine } from '../units.js';

/** @returns the exit code */
export async function status(looking: Looking): Promise<number> {
  const found = await findBridge(looking, process.env);
  if (found.isErr()) return complainAbout(found.error);
  using bridge = found.value;
  return (await bridge.ask({ do: 'status' })).match(
    (answer) => {
      say(looking.json ? jsonLine(answer) : statusText(answer, painter(process.stdout, process.env)).join('\n'));
      return 0;
    },
    (error) => complainAbout(error),
  );
}
