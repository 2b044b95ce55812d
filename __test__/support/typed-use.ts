// A project in TypeScript that uses the package.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './command.js';
import { finish } from './processes.js';

const USE = `
import { startBridge, type Bridge, type BridgeError, type BridgeOptions } from 'x11bridge';

export async function use(options: BridgeOptions): Promise<string> {
  const started = await startBridge(options);
  if (started.isErr()) return explain(started.error);
  await using bridge: Bridge = started.value;
  bridge.on('client-connected', ({ client, pid, program }) => console.log(client satisfies number, pid satisfies number | undefined, program));
  bridge.on('client-closed', ({ reason, totals }) => console.log(reason, totals.requests satisfies number));
  // @ts-expect-error there is no such event
  bridge.on('client-danced', () => undefined);
  return bridge.env.DISPLAY;
}

function explain(error: BridgeError): string {
  switch (error.kind) {
    case 'invalid-option':
    case 'display-taken':
      return error.message;
    // @ts-expect-error there is no such kind
    case 'made-up':
      return '';
    default:
      return error.side;
  }
}

// @ts-expect-error a display has a colon
void use({ display: '3' });
void use({ display: ':3', spin: 'auto', clientsMax: 5, signal: AbortSignal.timeout(5) });
`;

const OPTIONS = { strict: true, exactOptionalPropertyTypes: true, module: 'nodenext', target: 'es2023', lib: ['es2023', 'dom'], types: [], noEmit: true };

/**
 * Compiles it, strictly and without @types/node.
 * @param folder has x11bridge in its node_modules
 */
export async function assertTyped(folder: string): Promise<void> {
  writeFileSync(join(folder, 'use.ts'), USE);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS, files: ['use.ts'] }));
  const { code, stdout } = await finish(join(ROOT, 'node_modules/.bin/tsc'), ['--project', '.'], { cwd: folder });
  assert.equal(code, 0, stdout);
}
