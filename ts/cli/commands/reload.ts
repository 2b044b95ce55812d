// `x11bridge reload`: a running bridge reads its configuration again.

import { findBridge } from '../find-bridge.js';
import type { Looking } from '../looking-commands.js';
import { complainAbout, say } from '../terminal.js';
import { jsonLine } from '../units.js';

/** @returns the exit code: 1 when the configuration has a fault, and nothing changed */
export async function reload(looking: Looking): Promise<number> {
  const found = await findBridge(looking, process.env);
  if (found.isErr()) return complainAbout(found.error);
  using bridge = found.value;
  return (await bridge.ask({ do: 'reload' })).match(
    (changes) => {
      const { applied, waiting } = changes;
      if (looking.json) say(jsonLine(changes));
      else if (applied.length + waiting.length === 0) say('nothing has changed');
      if (!looking.json && applied.length > 0) say(`applied: ${applied.join(', ')}`);
      if (!looking.json && waiting.length > 0) say(`waiting for the next start: ${waiting.join(', ')}`);
      return 0;
    },
    (error) => complainAbout(error),
  );
}
