// What a guest of `x11bridge vm` runs first: it becomes the user who called the command outside, and then the command inside.

import { closeSync, readFileSync } from 'node:fs';
import type { GuestConfig } from '../vm/guest-files.js';
import { runProgram } from './program.js';
import { complain, ignoreClosedStreams } from './terminal.js';

/** The guest's first process opens it for us. */
const CONFIG_DESCRIPTOR = 3;

ignoreClosedStreams();
const config = JSON.parse(readFileSync(CONFIG_DESCRIPTOR, 'utf8')) as GuestConfig;
closeSync(CONFIG_DESCRIPTOR);
becomeUser(config);
void runProgram([process.execPath, 'x11bridge', ...config.args]).then((code) => process.exit(code));

function becomeUser({ uid, gid, groups, cwd, env }: GuestConfig): void {
  process.setgroups?.([...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  try {
    process.chdir(cwd);
  } catch {
    complain(`warn: the guest has no folder ${cwd}, so the command starts in /: share it with --share`);
    process.chdir('/');
  }
}
