// `x11bridge guard`: a policy between virtual machines or containers and the host's X server.

import type { Invocation } from '../invocation.js';
import { serve } from './serve.js';

/**
 * Guards until SIGTERM or SIGINT.
 * @returns the exit code: 0 after a signal
 */
export function guard(invocation: Invocation): Promise<number> {
  return serve(invocation, (settings) => ({ ...settings, channel: 'socket', policy: settings.policy ?? 'guest' }));
}
