// The channels that an option can name: some are words, byte pipes have an address.

import type { ChannelOption } from './options.js';
import { enumeration, type ValueType } from './value.js';

const WORDS = ['auto', 'virtgpu', 'loopback', 'socket'] as const;
const FORMS = ['auto', 'virtgpu', 'vsock:CID:PORT', 'tcp:HOST:PORT', 'loopback', 'socket'];

/** An IPv6 address stands in brackets. */
const PIPE = /^(?:vsock:(\d{1,10}):(\d{1,10})|tcp:(?:\[[^\s[\]/]{1,253}\]|[^\s:[\]/]{1,253}):(\d{1,5}))$/;

/** The highest number stands for "any" where somebody listens. */
const VSOCK_NUMBER_MAX = 2 ** 32 - 2;
const TCP_PORT_MAX = 65_535;

/** How all of them are written. */
export const CHANNEL_ARGUMENT = FORMS.join('|');

/** The type of the option. */
export const CHANNEL: ValueType<ChannelOption> = {
  expected: enumeration(FORMS),
  schema: { anyOf: [{ enum: WORDS }, { type: 'string', pattern: PIPE.source }] },
  words: WORDS,
  fromText: (text) => text,
  accept: (value) => (isChannel(value) ? { value } : undefined),
};

function isChannel(value: unknown): value is ChannelOption {
  return WORDS.some((word) => word === value) || (typeof value === 'string' && isPipe(value));
}

function isPipe(text: string): boolean {
  const [, cid, vsockPort, tcpPort] = PIPE.exec(text) ?? [];
  if (tcpPort !== undefined) return Number(tcpPort) >= 1 && Number(tcpPort) <= TCP_PORT_MAX;
  return cid !== undefined && Number(cid) <= VSOCK_NUMBER_MAX && Number(vsockPort) <= VSOCK_NUMBER_MAX;
}
