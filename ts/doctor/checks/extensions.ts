// What the X server offers through the bridge that makes programs fast.

import { note, ok, type Check } from '../check.js';

/** What programs miss without it. */
const WANTED: Readonly<Record<string, string>> = {
  'MIT-SHM': 'images go through the connection',
  DRI3: 'OpenGL and Vulkan draw by the processor',
  Present: 'frames are not in step with the screen',
};

export const extensions: Check = {
  name: 'extensions',
  title: 'fast extensions',
  linuxOnly: true,
  run: async ({ trial }) => {
    const { bridge, server } = await trial();
    if (server.isErr() || bridge.isErr()) return note('not known, as no X server answers');
    const missing = Object.keys(WANTED).filter((name) => !server.value.extensions.includes(name));
    if (missing.length === 0) return ok(`${Object.keys(WANTED).join(', ')} reach programs`);
    const effects = missing.map((name) => `${name} (${WANTED[name]})`).join(', ');
    return note(`not there over ${bridge.value.channel}: ${effects}`, 'take a channel that carries descriptors, and a server that has them; "xdpyinfo" on the server shows which');
  },
};
