// Looks into the scripts, which are ES modules, from the tests, which are not.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from '../../support/command.js';
import { finish } from '../../support/processes.js';

/** Evaluates an expression over the exports of a script. */
export async function evaluate(script: string, expression: string): Promise<unknown> {
  const url = JSON.stringify(`file://${join(ROOT, 'scripts', script)}`);
  const code = `const m = await import(${url}); console.log(JSON.stringify(${expression}))`;
  const { stdout, stderr } = await finish(process.execPath, ['--input-type=module', '--eval', code]);
  assert.equal(stderr, '');
  // Scripts may say what they fetch.
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
}
