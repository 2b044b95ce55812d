// `x11bridge doctor`: looks at the machine, and says what is missing and what to do about it.

import type { Verdict } from '../../doctor/check.js';
import { examine, type Examined } from '../../doctor/examine.js';
import { thisMachine } from '../../doctor/machine.js';
import { settingsOf, type Invocation } from '../invocation.js';
import { say } from '../terminal.js';
import { painter, type Paint } from '../paint.js';
import { jsonLine, printable } from '../units.js';

const COLOUR: Readonly<Record<Verdict, keyof Paint>> = { ok: 'green', note: 'yellow', fault: 'red' };
const TITLE_WIDTH = 20;

/**
 * Prints what every check finds.
 * @returns the exit code: 1 when the bridge does not work
 */
export async function doctor({ json, ...flags }: Invocation): Promise<number> {
  const paint = painter(process.stdout, process.env);
  const found: Examined[] = [];
  for await (const one of examine(thisMachine(settingsOf(flags, process.env), process.env))) {
    found.push(one);
    if (!json) say(asText(one, paint));
  }
  const works = found.every(({ verdict }) => verdict !== 'fault');
  say(json ? jsonLine({ works, checks: found }) : `\n${works ? 'The bridge works here.' : 'The bridge does not work here: see each "fault" above.'}`);
  return works ? 0 : 1;
}

function asText({ title, verdict, cause, remedy }: Examined, paint: Paint): string {
  const line = `${paint[COLOUR[verdict]](verdict.padEnd(6))} ${title.padEnd(TITLE_WIDTH)} ${printable(cause)}`;
  return remedy === undefined ? line : `${line}\n${' '.repeat(TITLE_WIDTH + 8)}→ ${printable(remedy)}`;
}
