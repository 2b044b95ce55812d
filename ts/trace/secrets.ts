// Which bytes of a message tell what somebody types, or what is copied: they are blanked in a trace unless it is to have them.

/** Bytes of a message, from the first one to before the second. */
export type Span = readonly [from: number, to: number];

const ALL = Number.POSITIVE_INFINITY;
const KEY_EVENTS: ReadonlySet<number> = new Set([2, 3, 11]);
/** Where `SendEvent` has its event. */
const SENT_EVENT = 12;

/** By the names of requests: what follows their fields. Offsets are those of a header of four bytes. */
const REQUESTS: Readonly<Record<string, Span>> = {
  ChangeProperty: [24, ALL],
  'XInputExtension.ChangeDeviceProperty': [20, ALL],
  'XInputExtension.SendExtensionEvent': [16, ALL],
  'XInputExtension.XIChangeProperty': [20, ALL],
  'XTEST.FakeInput': [5, 6],
};

/** By the requests that they answer. */
const REPLIES: Readonly<Record<string, Span>> = {
  GetProperty: [32, ALL],
  QueryKeymap: [8, ALL],
  'RECORD.EnableContext': [8, ALL],
  'XInputExtension.GetDeviceProperty': [32, ALL],
  'XInputExtension.QueryDeviceState': [8, ALL],
  'XInputExtension.XIGetProperty': [32, ALL],
};

const EVENTS: Readonly<Record<string, Span>> = {
  KeyPress: [1, 2],
  KeyRelease: [1, 2],
  KeymapNotify: [1, ALL],
  'XInputExtension.DeviceKeyPress': [1, 2],
  'XInputExtension.DeviceKeyRelease': [1, 2],
  'XInputExtension.DeviceKeyStateNotify': [4, ALL],
  'XInputExtension.DeviceStateNotify': [4, ALL],
  'XInputExtension.KeyPress': [16, 20],
  'XInputExtension.KeyRelease': [16, 20],
  'XInputExtension.RawKeyPress': [16, 20],
  'XInputExtension.RawKeyRelease': [16, 20],
  'XKEYBOARD.AccessXNotify': [9, 12],
  'XKEYBOARD.ActionMessage': [8, ALL],
  'XKEYBOARD.StateNotify': [28, 29],
};

/**
 * What a request tells.
 * @param name undefined where nobody knows what it is
 * @param header bytes of its header: four, or eight in the form of BIG-REQUESTS
 */
export function secretsOfRequest(name: string | undefined, bytes: Buffer, header: number): Span | undefined {
  if (name === undefined) return [header, ALL];
  const span = name === 'SendEvent' && KEY_EVENTS.has((bytes[SENT_EVENT + header - 4] ?? 0) & 0x7f) ? ([SENT_EVENT + 1, ALL] as const) : REQUESTS[name];
  return span && [span[0] + header - 4, span[1] + header - 4];
}

/** What a reply tells, by the name of the request; undefined where nobody knows what it answers. */
export function secretsOfReply(name: string | undefined): Span | undefined {
  return name === undefined ? [8, ALL] : REPLIES[name];
}

/** What an event tells, by its name; undefined where nobody knows what it is. */
export function secretsOfEvent(name: string | undefined): Span | undefined {
  return name === undefined ? [4, ALL] : EVENTS[name];
}
