// Made by scripts/protocol-names.mjs from xcb-proto's descriptions: the names of requests, events, generic events, errors and atoms with their
// numbers, the core protocol's first, then those of each extension behind a line with its name.

export const PROTOCOL_NAMES = `
== core
requests: 1 CreateWindow 2 ChangeWindowAttributes 3 GetWindowAttributes 4 DestroyWindow 5 DestroySubwindows 6 ChangeSaveSet 7 ReparentWindow
  8 MapWindow 9 MapSubwindows 10 UnmapWindow 11 UnmapSubwindows 12 ConfigureWindow 13 CirculateWindow 14 GetGeometry 15 QueryTree 16
  InternAtom 17 GetAtomName 18 ChangeProperty 19 DeleteProperty 20 GetProperty 21 ListProperties 22 SetSelectionOwner 23 GetSelectionOwner
  24 ConvertSelection 25 SendEvent 26 GrabPointer 27 UngrabPointer 28 GrabButton 29 UngrabButton 30 ChangeActivePointerGrab 31 GrabKeyboard
  32 UngrabKeyboard 33 GrabKey 34 UngrabKey 35 AllowEvents 36 GrabServer 37 UngrabServer 38 QueryPointer 39 GetMotionEvents 40
  TranslateCoordinates 41 WarpPointer 42 SetInputFocus 43 GetInputFocus 44 QueryKeymap 45 OpenFont 46 CloseFont 47 QueryFont 48
  QueryTextExtents 49 ListFonts 50 ListFontsWithInfo 51 SetFontPath 52 GetFontPath 53 CreatePixmap 54 FreePixmap 55 CreateGC 56 ChangeGC 57
  CopyGC 58 SetDashes 59 SetClipRectangles 60 FreeGC 61 ClearArea 62 CopyArea 63 CopyPlane 64 PolyPoint 65 PolyLine 66 PolySegment 67
  PolyRectangle 68 PolyArc 69 FillPoly 70 PolyFillRectangle 71 PolyFillArc 72 PutImage 73 GetImage 74 PolyText8 75 PolyText16 76 ImageText8
  77 ImageText16 78 CreateColormap 79 FreeColormap 80 CopyColormapAndFree 81 InstallColormap 82 UninstallColormap 83 ListInstalledColormaps
  84 AllocColor 85 AllocNamedColor 86 AllocColorCells 87 AllocColorPlanes 88 FreeColors 89 StoreColors 90 StoreNamedColor 91 QueryColors 92
  LookupColor 93 CreateCursor 94 CreateGlyphCursor 95 FreeCursor 96 RecolorCursor 97 QueryBestSize 98 QueryExtension 99 ListExtensions 100
  ChangeKeyboardMapping 101 GetKeyboardMapping 102 ChangeKeyboardControl 103 GetKeyboardControl 104 Bell 105 ChangePointerControl 106
  GetPointerControl 107 SetScreenSaver 108 GetScreenSaver 109 ChangeHosts 110 ListHosts 111 SetAccessControl 112 SetCloseDownMode 113
  KillClient 114 RotateProperties 115 ForceScreenSaver 116 SetPointerMapping 117 GetPointerMapping 118 SetModifierMapping 119
  GetModifierMapping 127 NoOperation
events: 2 KeyPress 3 KeyRelease 4 ButtonPress 5 ButtonRelease 6 MotionNotify 7 EnterNotify 8 LeaveNotify 9 FocusIn 10 FocusOut 11
  KeymapNotify 12 Expose 13 GraphicsExposure 14 NoExposure 15 VisibilityNotify 16 CreateNotify 17 DestroyNotify 18 UnmapNotify 19 MapNotify
  20 MapRequest 21 ReparentNotify 22 ConfigureNotify 23 ConfigureRequest 24 GravityNotify 25 ResizeRequest 26 CirculateNotify 27
  CirculateRequest 28 PropertyNotify 29 SelectionClear 30 SelectionRequest 31 SelectionNotify 32 ColormapNotify 33 ClientMessage 34
  MappingNotify
generic: 35 GeGeneric
errors: 1 Request 2 Value 3 Window 4 Pixmap 5 Atom 6 Cursor 7 Font 8 Match 9 Drawable 10 Access 11 Alloc 12 Colormap 13 GContext 14 IDChoice
  15 Name 16 Length 17 Implementation
atoms: 1 PRIMARY 2 SECONDARY 3 ARC 4 ATOM 5 BITMAP 6 CARDINAL 7 COLORMAP 8 CURSOR 9 CUT_BUFFER0 10 CUT_BUFFER1 11 CUT_BUFFER2 12 CUT_BUFFER3
  13 CUT_BUFFER4 14 CUT_BUFFER5 15 CUT_BUFFER6 16 CUT_BUFFER7 17 DRAWABLE 18 FONT 19 INTEGER 20 PIXMAP 21 POINT 22 RECTANGLE 23
  RESOURCE_MANAGER 24 RGB_COLOR_MAP 25 RGB_BEST_MAP 26 RGB_BLUE_MAP 27 RGB_DEFAULT_MAP 28 RGB_GRAY_MAP 29 RGB_GREEN_MAP 30 RGB_RED_MAP 31
  STRING 32 VISUALID 33 WINDOW 34 WM_COMMAND 35 WM_HINTS 36 WM_CLIENT_MACHINE 37 WM_ICON_NAME 38 WM_ICON_SIZE 39 WM_NAME 40 WM_NORMAL_HINTS
  41 WM_SIZE_HINTS 42 WM_ZOOM_HINTS 43 MIN_SPACE 44 NORM_SPACE 45 MAX_SPACE 46 END_SPACE 47 SUPERSCRIPT_X 48 SUPERSCRIPT_Y 49 SUBSCRIPT_X 50
  SUBSCRIPT_Y 51 UNDERLINE_POSITION 52 UNDERLINE_THICKNESS 53 STRIKEOUT_ASCENT 54 STRIKEOUT_DESCENT 55 ITALIC_ANGLE 56 X_HEIGHT 57
  QUAD_WIDTH 58 WEIGHT 59 POINT_SIZE 60 RESOLUTION 61 COPYRIGHT 62 NOTICE 63 FONT_NAME 64 FAMILY_NAME 65 FULL_NAME 66 CAP_HEIGHT 67 WM_CLASS
  68 WM_TRANSIENT_FOR
== BIG-REQUESTS
requests: 0 Enable
== Composite
requests: 0 QueryVersion 1 RedirectWindow 2 RedirectSubwindows 3 UnredirectWindow 4 UnredirectSubwindows 5 CreateRegionFromBorderClip 6
  NameWindowPixmap 7 GetOverlayWindow 8 ReleaseOverlayWindow
== DAMAGE
requests: 0 QueryVersion 1 Create 2 Destroy 3 Subtract 4 Add
events: 0 Notify
errors: 0 BadDamage
== DOUBLE-BUFFER
requests: 0 QueryVersion 1 AllocateBackBuffer 2 DeallocateBackBuffer 3 SwapBuffers 4 BeginIdiom 5 EndIdiom 6 GetVisualInfo 7
  GetBackBufferAttributes
errors: 0 BadBuffer
== DPMS
requests: 0 GetVersion 1 Capable 2 GetTimeouts 3 SetTimeouts 4 Enable 5 Disable 6 ForceLevel 7 Info
== DRI2
requests: 0 QueryVersion 1 Connect 2 Authenticate 3 CreateDrawable 4 DestroyDrawable 5 GetBuffers 6 CopyRegion 7 GetBuffersWithFormat 8
  SwapBuffers 9 GetMSC 10 WaitMSC 11 WaitSBC 12 SwapInterval 13 GetParam
events: 0 BufferSwapComplete 1 InvalidateBuffers
== DRI3
requests: 0 QueryVersion 1 Open 2 PixmapFromBuffer 3 BufferFromPixmap 4 FenceFromFD 5 FDFromFence 6 GetSupportedModifiers 7
  PixmapFromBuffers 8 BuffersFromPixmap 9 SetDRMDeviceInUse
== Generic Event Extension
requests: 0 QueryVersion
== GLX
requests: 1 Render 2 RenderLarge 3 CreateContext 4 DestroyContext 5 MakeCurrent 6 IsDirect 7 QueryVersion 8 WaitGL 9 WaitX 10 CopyContext 11
  SwapBuffers 12 UseXFont 13 CreateGLXPixmap 14 GetVisualConfigs 15 DestroyGLXPixmap 16 VendorPrivate 17 VendorPrivateWithReply 18
  QueryExtensionsString 19 QueryServerString 20 ClientInfo 21 GetFBConfigs 22 CreatePixmap 23 DestroyPixmap 24 CreateNewContext 25
  QueryContext 26 MakeContextCurrent 27 CreatePbuffer 28 DestroyPbuffer 29 GetDrawableAttributes 30 ChangeDrawableAttributes 31 CreateWindow
  32 DeleteWindow 33 SetClientInfoARB 34 CreateContextAttribsARB 35 SetClientInfo2ARB 101 NewList 102 EndList 103 DeleteLists 104 GenLists
  105 FeedbackBuffer 106 SelectBuffer 107 RenderMode 108 Finish 109 PixelStoref 110 PixelStorei 111 ReadPixels 112 GetBooleanv 113
  GetClipPlane 114 GetDoublev 115 GetError 116 GetFloatv 117 GetIntegerv 118 GetLightfv 119 GetLightiv 120 GetMapdv 121 GetMapfv 122
  GetMapiv 123 GetMaterialfv 124 GetMaterialiv 125 GetPixelMapfv 126 GetPixelMapuiv 127 GetPixelMapusv 128 GetPolygonStipple 129 GetString
  130 GetTexEnvfv 131 GetTexEnviv 132 GetTexGendv 133 GetTexGenfv 134 GetTexGeniv 135 GetTexImage 136 GetTexParameterfv 137
  GetTexParameteriv 138 GetTexLevelParameterfv 139 GetTexLevelParameteriv 140 IsEnabled 141 IsList 142 Flush 143 AreTexturesResident 144
  DeleteTextures 145 GenTextures 146 IsTexture 147 GetColorTable 148 GetColorTableParameterfv 149 GetColorTableParameteriv 150
  GetConvolutionFilter 151 GetConvolutionParameterfv 152 GetConvolutionParameteriv 153 GetSeparableFilter 154 GetHistogram 155
  GetHistogramParameterfv 156 GetHistogramParameteriv 157 GetMinmax 158 GetMinmaxParameterfv 159 GetMinmaxParameteriv 160
  GetCompressedTexImageARB 161 DeleteQueriesARB 162 GenQueriesARB 163 IsQueryARB 164 GetQueryivARB 165 GetQueryObjectivARB 166
  GetQueryObjectuivARB
events: 0 PbufferClobber 1 BufferSwapComplete
errors: 0 BadContext 1 BadContextState 2 BadDrawable 3 BadPixmap 4 BadContextTag 5 BadCurrentWindow 6 BadRenderRequest 7 BadLargeRequest 8
  UnsupportedPrivateRequest 9 BadFBConfig 10 BadPbuffer 11 BadCurrentDrawable 12 BadWindow 13 GLXBadProfileARB
== MIT-SCREEN-SAVER
requests: 0 QueryVersion 1 QueryInfo 2 SelectInput 3 SetAttributes 4 UnsetAttributes 5 Suspend
events: 0 Notify
== MIT-SHM
requests: 0 QueryVersion 1 Attach 2 Detach 3 PutImage 4 GetImage 5 CreatePixmap 6 AttachFd 7 CreateSegment
events: 0 Completion
errors: 0 BadSeg
== Present
requests: 0 QueryVersion 1 Pixmap 2 NotifyMSC 3 SelectInput 4 QueryCapabilities
events: 0 Generic
generic: 0 ConfigureNotify 1 CompleteNotify 2 IdleNotify 3 RedirectNotify
== RANDR
requests: 0 QueryVersion 2 SetScreenConfig 4 SelectInput 5 GetScreenInfo 6 GetScreenSizeRange 7 SetScreenSize 8 GetScreenResources 9
  GetOutputInfo 10 ListOutputProperties 11 QueryOutputProperty 12 ConfigureOutputProperty 13 ChangeOutputProperty 14 DeleteOutputProperty 15
  GetOutputProperty 16 CreateMode 17 DestroyMode 18 AddOutputMode 19 DeleteOutputMode 20 GetCrtcInfo 21 SetCrtcConfig 22 GetCrtcGammaSize 23
  GetCrtcGamma 24 SetCrtcGamma 25 GetScreenResourcesCurrent 26 SetCrtcTransform 27 GetCrtcTransform 28 GetPanning 29 SetPanning 30
  SetOutputPrimary 31 GetOutputPrimary 32 GetProviders 33 GetProviderInfo 34 SetProviderOffloadSink 35 SetProviderOutputSource 36
  ListProviderProperties 37 QueryProviderProperty 38 ConfigureProviderProperty 39 ChangeProviderProperty 40 DeleteProviderProperty 41
  GetProviderProperty 42 GetMonitors 43 SetMonitor 44 DeleteMonitor 45 CreateLease 46 FreeLease
events: 0 ScreenChangeNotify 1 Notify
errors: 0 BadOutput 1 BadCrtc 2 BadMode 3 BadProvider
== RECORD
requests: 0 QueryVersion 1 CreateContext 2 RegisterClients 3 UnregisterClients 4 GetContext 5 EnableContext 6 DisableContext 7 FreeContext
errors: 0 BadContext
== RENDER
requests: 0 QueryVersion 1 QueryPictFormats 2 QueryPictIndexValues 4 CreatePicture 5 ChangePicture 6 SetPictureClipRectangles 7 FreePicture
  8 Composite 10 Trapezoids 11 Triangles 12 TriStrip 13 TriFan 17 CreateGlyphSet 18 ReferenceGlyphSet 19 FreeGlyphSet 20 AddGlyphs 22
  FreeGlyphs 23 CompositeGlyphs8 24 CompositeGlyphs16 25 CompositeGlyphs32 26 FillRectangles 27 CreateCursor 28 SetPictureTransform 29
  QueryFilters 30 SetPictureFilter 31 CreateAnimCursor 32 AddTraps 33 CreateSolidFill 34 CreateLinearGradient 35 CreateRadialGradient 36
  CreateConicalGradient
errors: 0 PictFormat 1 Picture 2 PictOp 3 GlyphSet 4 Glyph
== SELinux
requests: 0 QueryVersion 1 SetDeviceCreateContext 2 GetDeviceCreateContext 3 SetDeviceContext 4 GetDeviceContext 5 SetWindowCreateContext 6
  GetWindowCreateContext 7 GetWindowContext 8 SetPropertyCreateContext 9 GetPropertyCreateContext 10 SetPropertyUseContext 11
  GetPropertyUseContext 12 GetPropertyContext 13 GetPropertyDataContext 14 ListProperties 15 SetSelectionCreateContext 16
  GetSelectionCreateContext 17 SetSelectionUseContext 18 GetSelectionUseContext 19 GetSelectionContext 20 GetSelectionDataContext 21
  ListSelections 22 GetClientContext
== SHAPE
requests: 0 QueryVersion 1 Rectangles 2 Mask 3 Combine 4 Offset 5 QueryExtents 6 SelectInput 7 InputSelected 8 GetRectangles
events: 0 Notify
== SYNC
requests: 0 Initialize 1 ListSystemCounters 2 CreateCounter 6 DestroyCounter 5 QueryCounter 7 Await 4 ChangeCounter 3 SetCounter 8
  CreateAlarm 9 ChangeAlarm 11 DestroyAlarm 10 QueryAlarm 12 SetPriority 13 GetPriority 14 CreateFence 15 TriggerFence 16 ResetFence 17
  DestroyFence 18 QueryFence 19 AwaitFence
events: 0 CounterNotify 1 AlarmNotify
errors: 0 Counter 1 Alarm
== X-Resource
requests: 0 QueryVersion 1 QueryClients 2 QueryClientResources 3 QueryClientPixmapBytes 4 QueryClientIds 5 QueryResourceBytes
== XC-MISC
requests: 0 GetVersion 1 GetXIDRange 2 GetXIDList
== XEVIE
requests: 0 QueryVersion 1 Start 2 End 3 Send 4 SelectInput
== XFIXES
requests: 0 QueryVersion 1 ChangeSaveSet 2 SelectSelectionInput 3 SelectCursorInput 4 GetCursorImage 5 CreateRegion 6 CreateRegionFromBitmap
  7 CreateRegionFromWindow 8 CreateRegionFromGC 9 CreateRegionFromPicture 10 DestroyRegion 11 SetRegion 12 CopyRegion 13 UnionRegion 14
  IntersectRegion 15 SubtractRegion 16 InvertRegion 17 TranslateRegion 18 RegionExtents 19 FetchRegion 20 SetGCClipRegion 21
  SetWindowShapeRegion 22 SetPictureClipRegion 23 SetCursorName 24 GetCursorName 25 GetCursorImageAndName 26 ChangeCursor 27
  ChangeCursorByName 28 ExpandRegion 29 HideCursor 30 ShowCursor 31 CreatePointerBarrier 32 DeletePointerBarrier 33 SetClientDisconnectMode
  34 GetClientDisconnectMode
events: 0 SelectionNotify 1 CursorNotify
errors: 0 BadRegion
== XFree86-DRI
requests: 0 QueryVersion 1 QueryDirectRenderingCapable 2 OpenConnection 3 CloseConnection 4 GetClientDriverName 5 CreateContext 6
  DestroyContext 7 CreateDrawable 8 DestroyDrawable 9 GetDrawableInfo 10 GetDeviceInfo 11 AuthConnection
== XFree86-VidModeExtension
requests: 0 QueryVersion 1 GetModeLine 2 ModModeLine 3 SwitchMode 4 GetMonitor 5 LockModeSwitch 6 GetAllModeLines 7 AddModeLine 8
  DeleteModeLine 9 ValidateModeLine 10 SwitchToMode 11 GetViewPort 12 SetViewPort 13 GetDotClocks 14 SetClientVersion 15 SetGamma 16
  GetGamma 17 GetGammaRamp 18 SetGammaRamp 19 GetGammaRampSize 20 GetPermissions
errors: 0 BadClock 1 BadHTimings 2 BadVTimings 3 ModeUnsuitable 4 ExtensionDisabled 5 ClientNotLocal 6 ZoomLocked
== XINERAMA
requests: 0 QueryVersion 1 GetState 2 GetScreenCount 3 GetScreenSize 4 IsActive 5 QueryScreens
== XInputExtension
requests: 1 GetExtensionVersion 2 ListInputDevices 3 OpenDevice 4 CloseDevice 5 SetDeviceMode 6 SelectExtensionEvent 7
  GetSelectedExtensionEvents 8 ChangeDeviceDontPropagateList 9 GetDeviceDontPropagateList 10 GetDeviceMotionEvents 11 ChangeKeyboardDevice
  12 ChangePointerDevice 13 GrabDevice 14 UngrabDevice 15 GrabDeviceKey 16 UngrabDeviceKey 17 GrabDeviceButton 18 UngrabDeviceButton 19
  AllowDeviceEvents 20 GetDeviceFocus 21 SetDeviceFocus 22 GetFeedbackControl 23 ChangeFeedbackControl 24 GetDeviceKeyMapping 25
  ChangeDeviceKeyMapping 26 GetDeviceModifierMapping 27 SetDeviceModifierMapping 28 GetDeviceButtonMapping 29 SetDeviceButtonMapping 30
  QueryDeviceState 32 DeviceBell 33 SetDeviceValuators 34 GetDeviceControl 35 ChangeDeviceControl 36 ListDeviceProperties 37
  ChangeDeviceProperty 38 DeleteDeviceProperty 39 GetDeviceProperty 40 XIQueryPointer 41 XIWarpPointer 42 XIChangeCursor 43
  XIChangeHierarchy 44 XISetClientPointer 45 XIGetClientPointer 46 XISelectEvents 47 XIQueryVersion 48 XIQueryDevice 49 XISetFocus 50
  XIGetFocus 51 XIGrabDevice 52 XIUngrabDevice 53 XIAllowEvents 54 XIPassiveGrabDevice 55 XIPassiveUngrabDevice 56 XIListProperties 57
  XIChangeProperty 58 XIDeleteProperty 59 XIGetProperty 60 XIGetSelectedEvents 61 XIBarrierReleasePointer 31 SendExtensionEvent
events: 0 DeviceValuator 1 DeviceKeyPress 2 DeviceKeyRelease 3 DeviceButtonPress 4 DeviceButtonRelease 5 DeviceMotionNotify 6 DeviceFocusIn
  7 DeviceFocusOut 8 ProximityIn 9 ProximityOut 10 DeviceStateNotify 11 DeviceMappingNotify 12 ChangeDeviceNotify 13 DeviceKeyStateNotify 14
  DeviceButtonStateNotify 15 DevicePresenceNotify 16 DevicePropertyNotify
generic: 1 DeviceChanged 2 KeyPress 4 ButtonPress 7 Enter 11 Hierarchy 12 Property 13 RawKeyPress 15 RawButtonPress 18 TouchBegin 21
  TouchOwnership 22 RawTouchBegin 25 BarrierHit 27 GesturePinchBegin 30 GestureSwipeBegin 3 KeyRelease 5 ButtonRelease 6 Motion 8 Leave 9
  FocusIn 10 FocusOut 14 RawKeyRelease 16 RawButtonRelease 17 RawMotion 19 TouchUpdate 20 TouchEnd 23 RawTouchUpdate 24 RawTouchEnd 26
  BarrierLeave 28 GesturePinchUpdate 29 GesturePinchEnd 31 GestureSwipeUpdate 32 GestureSwipeEnd
errors: 0 Device 1 Event 2 Mode 3 DeviceBusy 4 Class
== XKEYBOARD
requests: 0 UseExtension 1 SelectEvents 3 Bell 4 GetState 5 LatchLockState 6 GetControls 7 SetControls 8 GetMap 9 SetMap 10 GetCompatMap 11
  SetCompatMap 12 GetIndicatorState 13 GetIndicatorMap 14 SetIndicatorMap 15 GetNamedIndicator 16 SetNamedIndicator 17 GetNames 18 SetNames
  19 GetGeometry 20 SetGeometry 21 PerClientFlags 22 ListComponents 23 GetKbdByName 24 GetDeviceInfo 25 SetDeviceInfo 101 SetDebuggingFlags
events: 0 NewKeyboardNotify 1 MapNotify 2 StateNotify 3 ControlsNotify 4 IndicatorStateNotify 5 IndicatorMapNotify 6 NamesNotify 7
  CompatMapNotify 8 BellNotify 9 ActionMessage 10 AccessXNotify 11 ExtensionDeviceNotify
errors: 0 Keyboard
== XpExtension
requests: 0 PrintQueryVersion 1 PrintGetPrinterList 20 PrintRehashPrinterList 2 CreateContext 3 PrintSetContext 4 PrintGetContext 5
  PrintDestroyContext 6 PrintGetScreenOfContext 7 PrintStartJob 8 PrintEndJob 9 PrintStartDoc 10 PrintEndDoc 11 PrintPutDocumentData 12
  PrintGetDocumentData 13 PrintStartPage 14 PrintEndPage 15 PrintSelectInput 16 PrintInputSelected 17 PrintGetAttributes 19
  PrintGetOneAttributes 18 PrintSetAttributes 21 PrintGetPageDimensions 22 PrintQueryScreens 23 PrintSetImageResolution 24
  PrintGetImageResolution
events: 0 Notify 1 AttributNotify
errors: 0 BadContext 1 BadSequence
== XTEST
requests: 0 GetVersion 1 CompareCursor 2 FakeInput 3 GrabControl
== XVideo
requests: 0 QueryExtension 1 QueryAdaptors 2 QueryEncodings 3 GrabPort 4 UngrabPort 5 PutVideo 6 PutStill 7 GetVideo 8 GetStill 9 StopVideo
  10 SelectVideoNotify 11 SelectPortNotify 12 QueryBestSize 13 SetPortAttribute 14 GetPortAttribute 15 QueryPortAttributes 16
  ListImageFormats 17 QueryImageAttributes 18 PutImage 19 ShmPutImage
events: 0 VideoNotify 1 PortNotify
errors: 0 BadPort 1 BadEncoding 2 BadControl
== XVideo-MotionCompensation
requests: 0 QueryVersion 1 ListSurfaceTypes 2 CreateContext 3 DestroyContext 4 CreateSurface 5 DestroySurface 6 CreateSubpicture 7
  DestroySubpicture 8 ListSubpictureTypes
`;
