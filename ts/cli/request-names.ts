// The names of the core protocol's requests (X11 protocol, appendix B), by their opcodes from 1 on.

const NAMES = `
CreateWindow ChangeWindowAttributes GetWindowAttributes DestroyWindow DestroySubwindows ChangeSaveSet ReparentWindow MapWindow
MapSubwindows UnmapWindow UnmapSubwindows ConfigureWindow CirculateWindow GetGeometry QueryTree InternAtom GetAtomName
ChangeProperty DeleteProperty GetProperty ListProperties SetSelectionOwner GetSelectionOwner ConvertSelection SendEvent
GrabPointer UngrabPointer GrabButton UngrabButton ChangeActivePointerGrab GrabKeyboard UngrabKeyboard GrabKey UngrabKey
AllowEvents GrabServer UngrabServer QueryPointer GetMotionEvents TranslateCoordinates WarpPointer SetInputFocus GetInputFocus
QueryKeymap OpenFont CloseFont QueryFont QueryTextExtents ListFonts ListFontsWithInfo SetFontPath GetFontPath CreatePixmap
FreePixmap CreateGC ChangeGC CopyGC SetDashes SetClipRectangles FreeGC ClearArea CopyArea CopyPlane PolyPoint PolyLine PolySegment
PolyRectangle PolyArc FillPoly PolyFillRectangle PolyFillArc PutImage GetImage PolyText8 PolyText16 ImageText8 ImageText16
CreateColormap FreeColormap CopyColormapAndFree InstallColormap UninstallColormap ListInstalledColormaps AllocColor
AllocNamedColor AllocColorCells AllocColorPlanes FreeColors StoreColors StoreNamedColor QueryColors LookupColor CreateCursor
CreateGlyphCursor FreeCursor RecolorCursor QueryBestSize QueryExtension ListExtensions ChangeKeyboardMapping GetKeyboardMapping
ChangeKeyboardControl GetKeyboardControl Bell ChangePointerControl GetPointerControl SetScreenSaver GetScreenSaver ChangeHosts
ListHosts SetAccessControl SetCloseDownMode KillClient RotateProperties ForceScreenSaver SetPointerMapping GetPointerMapping
SetModifierMapping GetModifierMapping
`
  .trim()
  .split(/\s+/);

/** The name of a request, or its opcode where it is one of an extension. */
export function requestName(opcode: number): string {
  return opcode === 127 ? 'NoOperation' : (NAMES[opcode - 1] ?? `opcode ${opcode}`);
}
