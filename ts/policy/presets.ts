// The presets, in the words that people write policies in. What each is for is told in docs/policy.md.

import type { PresetName } from '../config/options.js';
import { SELECTIONS, standInOf } from './added-rules.js';
import type { PolicySource, Rule } from './rule.js';

/** Core event masks that follow input, or take a window over: no client has business selecting them on windows of others. */
const INPUT_MASKS =
  0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x1000 | 0x2000 | 0x4000 | 0x4_0000 | 0x10_0000 | 0x100_0000;
/** All attributes of a window but its event mask. */
const NOT_EVENT_MASK = 0xffff_f7ff;

/** XI2: raw keys, buttons and motion (13 to 17) and touches (22 to 24), whoever has the focus. */
const XI2_RAW = 0x3_e000 | 0x1c0_0000;
/** XI2: keys, buttons, motion, crossing and focus (2 to 10), touches (18 to 21), gestures (27 to 31). */
const XI2_INPUT = (0x7fc | 0x3c_0000 | 0xf800_0000) >>> 0;

/** Core events by number. */
const UNMAP_NOTIFY = 18;
const CONFIGURE_REQUEST = 23;
const SELECTION_NOTIFY = 31;
const CLIENT_MESSAGE = 33;

/** Reads input, or injects it, or reads what other clients are. */
const SPYING_EXTENSIONS = ['DEC-XTRAP', 'RECORD', 'SECURITY', 'SELinux', 'VNC-EXTENSION', 'X-Resource', 'XC-APPGROUP', 'XEVIE', 'XTEST'];
/** Changes the screen's modes or gamma, or is a device's own. */
const DEVICE_EXTENSIONS = ['NV-CONTROL', 'XFree86-Bigfont', 'XFree86-Misc', 'XFree86-VidModeExtension'];

const DRAWING = [
  'PolyPoint', 'PolyLine', 'PolySegment', 'PolyRectangle', 'PolyArc', 'FillPoly', 'PolyFillRectangle', 'PolyFillArc', 'PutImage', 'PolyText8',
  'PolyText16', 'ImageText8', 'ImageText16', 'MIT-SHM.PutImage',
];

/** What the window manager and the clipboard need, before everything else is refused. */
const TALKING: readonly Rule[] = [
  // The answer to somebody who asked for a selection.
  { request: 'ChangeProperty', when: { requested: true }, action: 'allow' },
  { request: 'SendEvent', when: { destination: 'other', event: SELECTION_NOTIFY, requested: true }, action: 'allow' },
  // An event that nobody wants at the window itself would go up to the frame and the root.
  { request: 'SendEvent', when: { destination: 'own', propagate: { bits: 0xff } }, action: 'strip' },
  // To the window manager, about one's own windows or the desktop.
  { request: 'SendEvent', when: { destination: 'root', event: CLIENT_MESSAGE, event_window: ['none', 'own', 'root'] }, action: 'allow' },
  { request: 'SendEvent', when: { destination: 'root', event: [UNMAP_NOTIFY, CONFIGURE_REQUEST], event_window2: 'own' }, action: 'allow' },
  { request: 'SendEvent', when: { destination: ['none', 'root', 'other'] }, action: 'deny' },
  // Where others' windows are, and when they change: managers of settings and clipboards are watched so.
  { request: 'ChangeWindowAttributes', when: { window: ['root', 'other'], value_mask: { bits: NOT_EVENT_MASK } }, action: 'deny' },
  { request: 'ChangeWindowAttributes', when: { window: ['root', 'other'], event_mask: { bits: INPUT_MASKS } }, action: 'deny' },
  { request: 'ChangeWindowAttributes', when: { window: ['root', 'other'] }, action: 'allow' },
  { request: 'ConfigureWindow', when: { window: 'own', sibling: 'other' }, action: 'allow' },
];

/** What programs read of other windows to place and to draw their own. */
const READING: readonly Rule[] = [
  { request: 'GetProperty', when: { window: ['root', 'other'], delete: { bits: 0xff } }, action: 'strip' },
  {
    request: [
      'GetWindowAttributes', 'GetGeometry', 'QueryTree', 'GetProperty', 'ListProperties', 'QueryPointer', 'TranslateCoordinates', 'ListInstalledColormaps',
      'QueryBestSize', 'QueryColors', 'LookupColor', 'XFIXES.CreateRegionFromWindow', 'XInputExtension.XIQueryPointer', 'SHAPE.QueryExtents',
      'SHAPE.GetRectangles', 'SHAPE.InputSelected', 'SHAPE.SelectInput',
    ],
    when: { any: 'other' },
    action: 'allow',
  },
];

/** What belongs to the whole screen. Where programs ask as a matter of course nothing happens, else they are told. */
const WHOLE_SCREEN: readonly Rule[] = [
  { request: ['ChangeProperty', 'DeleteProperty', 'RotateProperties'], when: { window: 'root' }, action: 'ignore' },
  {
    request: ['ClearArea', 'DestroyWindow', 'DestroySubwindows', 'MapSubwindows', 'UnmapSubwindows', 'ConfigureWindow', 'CirculateWindow', 'ReparentWindow'],
    when: { window: 'root' },
    action: 'deny',
  },
  // The selection's owner would write to it. Programs have a window of their own for that.
  { request: 'ConvertSelection', when: { requestor: 'root' }, action: 'deny' },
  { request: DRAWING, when: { drawable: 'root' }, action: 'deny' },
  { request: ['CopyArea', 'CopyPlane'], when: { src_drawable: 'root' }, action: 'deny' },
  { request: ['CopyArea', 'CopyPlane'], when: { dst_drawable: 'root' }, action: 'deny' },
  { request: ['GetImage', 'MIT-SHM.GetImage', 'RENDER.CreatePicture', 'DAMAGE.Create', 'DAMAGE.Add'], when: { drawable: 'root' }, action: 'deny' },
  { request: 'Composite.*', when: { window: 'root' }, action: 'deny' },
  { request: ['Present.Pixmap', 'Present.PixmapSynced'], when: { window: 'root' }, action: 'deny' },
  { request: ['GLX.CreateWindow'], when: { window: 'root' }, action: 'deny' },
  { request: ['GLX.MakeCurrent', 'GLX.MakeContextCurrent'], when: { drawable: 'root' }, action: 'deny' },
  { request: ['DOUBLE-BUFFER.AllocateBackBuffer', 'SHAPE.Rectangles', 'SHAPE.Mask', 'SHAPE.Combine', 'SHAPE.Offset', 'XFIXES.SetWindowShapeRegion'], when: { any: 'root' }, action: 'deny' },
  { request: ['XVideo.GetVideo', 'XVideo.GetStill', 'XVideo.PutImage', 'XVideo.ShmPutImage', 'XVideo.PutVideo', 'XVideo.PutStill'], when: { drawable: 'root' }, action: 'deny' },
  { request: 'GrabServer', action: 'ignore' },
  { request: ['SetScreenSaver', 'ForceScreenSaver', 'ChangeKeyboardControl', 'ChangePointerControl'], action: 'ignore' },
  { request: ['DPMS.SetTimeouts', 'DPMS.Enable', 'DPMS.Disable', 'DPMS.ForceLevel', 'MIT-SCREEN-SAVER.Suspend'], action: 'ignore' },
  { request: ['MIT-SCREEN-SAVER.SetAttributes', 'MIT-SCREEN-SAVER.UnsetAttributes'], action: 'deny' },
  { request: ['ChangeHosts', 'SetAccessControl', 'SetFontPath', 'ChangeKeyboardMapping', 'SetPointerMapping', 'SetModifierMapping'], action: 'deny' },
  { request: 'KillClient', when: { resource: ['none', 'root', 'other'] }, action: 'deny' },
  { request: 'SetInputFocus', when: { focus: 'root' }, action: 'deny' },
  { request: ['XFIXES.HideCursor', 'XFIXES.ShowCursor'], when: { window: 'root' }, action: 'deny' },
  { request: ['XFIXES.GetCursorImage', 'XFIXES.GetCursorImageAndName', 'XFIXES.ChangeCursorByName', 'XFIXES.ChangeSaveSet'], action: 'deny' },
  { request: 'XFIXES.ChangeCursor', when: { destination: 'root' }, action: 'deny' },
  { request: 'XFIXES.SelectCursorInput', when: { window: 'root' }, action: 'deny' },
  {
    request: [
      'SetScreenConfig', 'SetScreenSize', 'ConfigureOutputProperty', 'ChangeOutputProperty', 'DeleteOutputProperty', 'CreateMode', 'DestroyMode', 'AddOutputMode',
      'DeleteOutputMode', 'SetCrtcConfig', 'SetCrtcGamma', 'SetCrtcTransform', 'SetPanning', 'SetOutputPrimary', 'SetProviderOffloadSink',
      'SetProviderOutputSource', 'ConfigureProviderProperty', 'ChangeProviderProperty', 'DeleteProviderProperty', 'SetMonitor', 'DeleteMonitor', 'CreateLease',
      'FreeLease',
    ].map((name) => `RANDR.${name}`),
    action: 'deny',
  },
];

/** The keyboard, the pointer and whoever listens to them. */
const INPUT: readonly Rule[] = [
  { request: 'QueryKeymap', action: 'blank' },
  { request: ['GrabPointer', 'GrabButton', 'GrabKeyboard', 'GrabKey'], when: { grab_window: 'root' }, action: 'deny' },
  { request: 'XInputExtension.XISelectEvents', when: { events: { bits: XI2_RAW } }, action: 'strip' },
  { request: 'XInputExtension.XISelectEvents', when: { window: ['root', 'other'], events: { bits: XI2_INPUT } }, action: 'deny' },
  { request: 'XInputExtension.XISelectEvents', when: { window: 'other' }, action: 'allow' },
  { request: 'XInputExtension.XIGrabDevice', when: { window: 'root' }, action: 'deny' },
  {
    request: ['GrabDevice', 'GrabDeviceKey', 'GrabDeviceButton', 'XIPassiveGrabDevice'].map((name) => `XInputExtension.${name}`),
    when: { grab_window: 'root' },
    action: 'deny',
  },
  { request: ['XInputExtension.SelectExtensionEvent', 'XInputExtension.ChangeDeviceDontPropagateList', 'XInputExtension.XISetFocus', 'XInputExtension.XIChangeCursor'], when: { window: 'root' }, action: 'deny' },
  { request: 'XInputExtension.SetDeviceFocus', when: { focus: 'root' }, action: 'deny' },
  { request: 'XInputExtension.SendExtensionEvent', when: { destination: ['none', 'root', 'other'] }, action: 'deny' },
  {
    request: [
      'SetDeviceMode', 'GetDeviceMotionEvents', 'ChangeKeyboardDevice', 'ChangePointerDevice', 'ChangeFeedbackControl', 'ChangeDeviceKeyMapping',
      'SetDeviceModifierMapping', 'SetDeviceButtonMapping', 'QueryDeviceState', 'SetDeviceValuators', 'ChangeDeviceControl', 'ChangeDeviceProperty',
      'DeleteDeviceProperty', 'XIChangeHierarchy', 'XIChangeProperty', 'XIDeleteProperty',
    ].map((name) => `XInputExtension.${name}`),
    action: 'deny',
  },
  {
    request: ['LatchLockState', 'SetControls', 'SetMap', 'SetCompatMap', 'SetIndicatorMap', 'SetNamedIndicator', 'SetNames', 'SetDeviceInfo', 'SetDebuggingFlags'].map(
      (name) => `XKEYBOARD.${name}`,
    ),
    action: 'deny',
  },
  { request: 'XKEYBOARD.GetKbdByName', when: { load: { bits: 0xff } }, action: 'strip' },
];

const GUEST: readonly Rule[] = [
  { request: [...SPYING_EXTENSIONS, ...DEVICE_EXTENSIONS], action: 'hide' },
  ...TALKING,
  ...READING,
  ...WHOLE_SCREEN,
  ...INPUT,
  // Whatever is left that names something of another client's.
  { request: '*', when: { any: 'other' }, action: 'deny' },
];

/** What every program reads of the root and of the window manager's own window to work with it: nothing of it tells of other programs. */
const DESKTOP_PROPERTIES = {
  atom: [
    '_GTK_EDGE_CONSTRAINTS', '_GTK_WORKAREAS_D0', '_NET_ACTIVE_WINDOW', '_NET_CURRENT_DESKTOP', '_NET_DESKTOP_GEOMETRY', '_NET_DESKTOP_LAYOUT', '_NET_DESKTOP_VIEWPORT',
    '_NET_FRAME_EXTENTS', '_NET_NUMBER_OF_DESKTOPS', '_NET_SHOWING_DESKTOP', '_NET_SUPPORTED', '_NET_SUPPORTING_WM_CHECK', '_NET_WORKAREA', '_MOTIF_WM_INFO',
    '_XKB_RULES_NAMES', '_XSETTINGS_SETTINGS', 'RESOURCE_MANAGER', 'SCREEN_RESOURCES', 'WM_ICON_SIZE', 'XIM_SERVERS',
  ],
};

/** The selections of people; others are managers'. */
const PEOPLES_SELECTIONS = { atom: [...SELECTIONS, ...SELECTIONS.map(standInOf)] };

const SUBSTRUCTURE_NOTIFY = 0x8_0000;

const ISOLATED: readonly Rule[] = [
  { request: 'GetProperty', when: { window: ['root', 'other'], delete: { bits: 0xff } }, action: 'strip' },
  { request: 'GetProperty', when: { window: ['root', 'other'], property: DESKTOP_PROPERTIES }, action: 'allow' },
  { request: 'GetProperty', when: { window: ['root', 'other'] }, action: 'absent' },
  { request: ['ListProperties', 'QueryTree'], when: { window: ['root', 'other'] }, action: 'deny', error: 'Window' },
  { request: ['GetWindowAttributes', 'QueryPointer', 'ListInstalledColormaps'], when: { window: 'other' }, action: 'deny', error: 'Window' },
  { request: 'GetGeometry', when: { drawable: 'other' }, action: 'deny', error: 'Drawable' },
  { request: 'TranslateCoordinates', when: { any: 'other' }, action: 'deny', error: 'Window' },
  { request: 'ChangeWindowAttributes', when: { window: ['root', 'other'], event_mask: { bits: SUBSTRUCTURE_NOTIFY } }, action: 'strip' },
  { request: ['SHAPE.QueryExtents', 'SHAPE.SelectInput', 'SHAPE.InputSelected'], when: { destination_window: 'other' }, action: 'deny', error: 'Window' },
  { request: ['SHAPE.GetRectangles', 'XFIXES.CreateRegionFromWindow', 'XInputExtension.XIQueryPointer'], when: { window: 'other' }, action: 'deny', error: 'Window' },
  { request: ['ListHosts', 'GetMotionEvents'], action: 'deny' },
  { request: 'SetCloseDownMode', when: { mode: [1, 2] }, action: 'deny' },
  // Whoever owns the selection of a manager is that manager: of windows, settings, the tray.
  { request: 'SetSelectionOwner', when: { owner: ['none', 'own'], selection: PEOPLES_SELECTIONS }, action: 'allow' },
  { request: 'ConvertSelection', when: { requestor: 'own', selection: PEOPLES_SELECTIONS }, action: 'allow' },
  { request: ['SetSelectionOwner', 'ConvertSelection'], action: 'deny' },
  ...GUEST,
];

/** By name. */
export const PRESETS: Readonly<Record<PresetName, PolicySource>> = {
  open: { unlisted: 'allow', rules: [] },
  guest: { unlisted: 'hide', processes: 'remove', rules: GUEST },
  isolated: { unlisted: 'hide', processes: 'remove', clipboard: 'off', rules: ISOLATED },
};
