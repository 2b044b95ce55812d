// The fields of replies and events that a trace shows; those of requests are the ones that policies know.

import type { Field } from '../policy/catalogue.js';
import { allRequests } from '../policy/catalogue.js';

/** A field with its offset in the message. */
export interface ShownField {
  readonly name: string;
  readonly at: number;
  readonly width: 1 | 2 | 4;
  readonly kind: 'id' | 'atom' | 'number';
}

const DRAWN = 'window=id@4 x=u16@8 y=u16@10 width=u16@12 height=u16@14';
const INPUT = 'detail=u8@1 root=id@8 event=id@12 state=u16@28';
const CROSSING = 'detail=u8@1 root=id@8 event=id@12 mode=u8@30';
const OF_WINDOW = 'event=id@4 window=id@8';
const XI2 = 'device=u16@10 detail=u32@16 event=id@24';
const XI2_RAW = 'device=u16@10 detail=u32@16';

const EVENTS: Readonly<Record<string, string>> = {
  KeyPress: INPUT, KeyRelease: INPUT, ButtonPress: INPUT, ButtonRelease: INPUT, MotionNotify: INPUT, EnterNotify: CROSSING, LeaveNotify: CROSSING,
  FocusIn: 'detail=u8@1 event=id@4 mode=u8@8', FocusOut: 'detail=u8@1 event=id@4 mode=u8@8', Expose: DRAWN, GraphicsExposure: DRAWN, NoExposure: 'drawable=id@4',
  VisibilityNotify: 'window=id@4 state=u8@8', CreateNotify: 'parent=id@4 window=id@8', DestroyNotify: OF_WINDOW, UnmapNotify: OF_WINDOW, MapNotify: OF_WINDOW,
  MapRequest: 'parent=id@4 window=id@8', ReparentNotify: `${OF_WINDOW} parent=id@12`, ConfigureNotify: `${OF_WINDOW} x=u16@16 y=u16@18 width=u16@20 height=u16@22`,
  ConfigureRequest: 'parent=id@4 window=id@8', GravityNotify: OF_WINDOW, ResizeRequest: 'window=id@4 width=u16@8 height=u16@10', CirculateNotify: OF_WINDOW,
  CirculateRequest: OF_WINDOW, PropertyNotify: 'window=id@4 atom=atom@8 state=u8@16', SelectionClear: 'owner=id@8 selection=atom@12',
  SelectionRequest: 'owner=id@8 requestor=id@12 selection=atom@16 target=atom@20 property=atom@24',
  SelectionNotify: 'requestor=id@8 selection=atom@12 target=atom@16 property=atom@20', ColormapNotify: 'window=id@4 colormap=id@8',
  ClientMessage: 'format=u8@1 window=id@4 type=atom@8', MappingNotify: 'request=u8@4 first_keycode=u8@5 count=u8@6',
  'XInputExtension.KeyPress': XI2, 'XInputExtension.KeyRelease': XI2, 'XInputExtension.ButtonPress': XI2, 'XInputExtension.ButtonRelease': XI2,
  'XInputExtension.Motion': XI2, 'XInputExtension.RawKeyPress': XI2_RAW, 'XInputExtension.RawKeyRelease': XI2_RAW, 'XInputExtension.RawButtonPress': XI2_RAW,
  'XInputExtension.RawMotion': XI2_RAW, 'Present.ConfigureNotify': 'window=id@16', 'Present.CompleteNotify': 'window=id@16 serial=u32@20',
  'Present.IdleNotify': 'window=id@16 serial=u32@20 pixmap=id@24', 'MIT-SHM.Completion': 'drawable=id@4 shmseg=id@12', 'DAMAGE.Notify': 'drawable=id@4 damage=id@8',
  'RANDR.ScreenChangeNotify': 'root=id@16 width=u16@24 height=u16@26', 'XFIXES.SelectionNotify': 'window=id@4 owner=id@8 selection=atom@12',
};

const REPLIES: Readonly<Record<string, string>> = {
  AllocColor: 'pixel=u32@16', GetAtomName: '', GetGeometry: 'depth=u8@1 root=id@8 x=u16@12 y=u16@14 width=u16@16 height=u16@18', GetImage: 'depth=u8@1 visual=id@8',
  GetInputFocus: 'focus=id@8', GetProperty: 'format=u8@1 type=atom@8 bytes_after=u32@12 value_len=u32@16', GetSelectionOwner: 'owner=id@8',
  GetWindowAttributes: 'visual=id@8 map_state=u8@26', GrabKeyboard: 'status=u8@1', GrabPointer: 'status=u8@1', InternAtom: 'atom=atom@8',
  ListProperties: 'count=u16@8', QueryExtension: 'present=u8@8 major=u8@9 first_event=u8@10 first_error=u8@11', QueryPointer: 'root=id@8 child=id@12 x=u16@16 y=u16@18',
  QueryTree: 'root=id@8 parent=id@12 children=u16@16', TranslateCoordinates: 'child=id@8 x=u16@12 y=u16@14',
};

/** The fields of an event. */
export function fieldsOfEvent(name: string): readonly ShownField[] {
  return parsed(EVENTS[name]);
}

/** The fields of a reply, by the name of the request that it answers. */
export function fieldsOfReply(name: string): readonly ShownField[] {
  return parsed(REPLIES[name]);
}

let requests: ReadonlyMap<string, readonly ShownField[]> | undefined;

/** The fields of a request by its full name, at their offsets behind a header of four bytes. */
export function fieldsOfRequest(name: string): readonly ShownField[] {
  requests ??= new Map(allRequests().map((request) => [request.extension === undefined ? request.name : `${request.extension}.${request.name}`, [...request.fields].flatMap(shown)]));
  return requests.get(name) ?? [];
}

/** Fields that have a place of their own. */
function shown([name, field]: readonly [string, Field]): ShownField[] {
  if (!('width' in field) || 'value' in field) return [];
  const kind = field.kind === 'new' ? 'id' : field.kind;
  return [{ name, kind, width: field.at === 'detail' ? 1 : field.width, at: field.at === 'detail' ? 1 : field.at + 4 }];
}

const WIDTHS: Readonly<Record<string, 1 | 2 | 4>> = { u8: 1, u16: 2 };

function parsed(text = ''): ShownField[] {
  return [...text.matchAll(/(\w+)=(\w+)@(\d+)/g)].map(([, name = '', type = '', at]) => ({
    name,
    at: Number(at),
    width: WIDTHS[type] ?? 4,
    kind: type === 'id' || type === 'atom' ? type : 'number',
  }));
}
