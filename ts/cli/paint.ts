// Colours, where there is a terminal that wants some (https://no-color.org).

import type { WriteStream } from 'node:tty';

export type Paint = Readonly<Record<'green' | 'yellow' | 'red' | 'bold' | 'inverse', (text: string) => string>>;

const CODES = { green: [32, 39], yellow: [33, 39], red: [31, 39], bold: [1, 22], inverse: [7, 27] } as const;

/** The colours for a stream; none when it isn't a terminal, `NO_COLOR` is set, or the terminal is dumb. */
export function painter(stream: Pick<WriteStream, 'isTTY'>, env: NodeJS.ProcessEnv): Paint {
  const plain = !stream.isTTY || Boolean(env['NO_COLOR']) || env['TERM'] === 'dumb';
  const paint = Object.entries(CODES).map(([name, [on, off]]) => [name, (text: string) => (plain ? text : `\u001B[${on}m${text}\u001B[${off}m`)]);
  return Object.fromEntries(paint) as Paint;
}
