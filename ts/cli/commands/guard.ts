// `x11bridge guard`: a policy between virtual machines or containers and the host's X server.

import type { Invocation } from '../invocation.js';
import { serve } from './serve.js';

/**
 * Guards until SIGTERM or SIGINT.
 * @returns the exit code: 0 after a signal
 */
export function guard(invocation: Invocation): Promise<number> {
  // A guest's number of a System V segment would be that of another one here, and the guard's user the one with the rights to it.
  return serve(invocation, (settings) => ({ ...settings, channel: 'socket', shm: 'fd', policy: settings.policy ?? 'guest' }));
}
