#!/usr/bin/env node
// The command `x11bridge`. Whatever happens, the person gets one sentence and an exit code, never a stack trace.

import { runProgram } from './program.js';
import { complain, ignoreClosedStreams, REPORT_IT, whyUnwritten } from './terminal.js';

ignoreClosedStreams();
process.on('uncaughtException', fail);
runProgram(process.argv).then(end, fail);

async function end(code: number): Promise<never> {
  const why = await whyUnwritten();
  if (code !== 0 || why === undefined) process.exit(code);
  complain(`not everything could be written to standard output (${why}): free some space, or write elsewhere`);
  process.exit(1);
}

function fail(error: unknown): never {
  const sentence = error instanceof Error ? error.message : String(error);
  complain(`unexpected failure: ${sentence.replaceAll(/\s+/g, ' ')}; ${REPORT_IT}`);
  if (process.env['X11BRIDGE_DEBUG'] === '1' && error instanceof Error) console.error(error.stack);
  process.exit(1);
}
