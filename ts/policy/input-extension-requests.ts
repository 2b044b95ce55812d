// The same as extension-requests.ts, from XFIXES on: cursors, input devices, the keyboard, video.

export const INPUT_EXTENSION_REQUESTS = `== XFIXES
0 QueryVersion!
1 ChangeSaveSet window=id@4
2 SelectSelectionInput window=id@0 selection=atom@4 event_mask=u32@8
3 SelectCursorInput window=id@0 event_mask=u32@4
4 GetCursorImage!
5 CreateRegion region=new@0
6 CreateRegionFromBitmap region=new@0 bitmap=id@4
7 CreateRegionFromWindow region=new@0 window=id@4
8 CreateRegionFromGC region=new@0 gc=id@4
9 CreateRegionFromPicture region=new@0 picture=id@4
10 DestroyRegion region=id@0
11 SetRegion region=id@0
12 CopyRegion source=id@0 destination=id@4
13 UnionRegion source1=id@0 source2=id@4 destination=id@8
14 IntersectRegion source1=id@0 source2=id@4 destination=id@8
15 SubtractRegion source1=id@0 source2=id@4 destination=id@8
16 InvertRegion source=id@0 destination=id@12
17 TranslateRegion region=id@0
18 RegionExtents source=id@0 destination=id@4
19 FetchRegion! region=id@0
20 SetGCClipRegion gc=id@0 region=id@4
21 SetWindowShapeRegion dest=id@0 region=id@12
22 SetPictureClipRegion picture=id@0 region=id@4
23 SetCursorName cursor=id@0
24 GetCursorName! cursor=id@0
25 GetCursorImageAndName!
26 ChangeCursor source=id@0 destination=id@4
27 ChangeCursorByName src=id@0
28 ExpandRegion source=id@0 destination=id@4
29 HideCursor window=id@0
30 ShowCursor window=id@0
31 CreatePointerBarrier barrier=new@0 window=id@4
32 DeletePointerBarrier barrier=id@0
33 SetClientDisconnectMode
34 GetClientDisconnectMode!
== XINERAMA
0 QueryVersion!
1 GetState! window=id@0
2 GetScreenCount! window=id@0
3 GetScreenSize! window=id@0
4 IsActive!
5 QueryScreens!
== XInputExtension
1 GetExtensionVersion!
2 ListInputDevices!
3 OpenDevice!
4 CloseDevice
5 SetDeviceMode!
6 SelectExtensionEvent window=id@0
7 GetSelectedExtensionEvents! window=id@0
8 ChangeDeviceDontPropagateList window=id@0
9 GetDeviceDontPropagateList! window=id@0
10 GetDeviceMotionEvents!
11 ChangeKeyboardDevice!
12 ChangePointerDevice!
13 GrabDevice! grab_window=id@0
14 UngrabDevice
15 GrabDeviceKey grab_window=id@0
16 UngrabDeviceKey grabWindow=id@0
17 GrabDeviceButton grab_window=id@0
18 UngrabDeviceButton grab_window=id@0
19 AllowDeviceEvents
20 GetDeviceFocus!
21 SetDeviceFocus focus=id@0
22 GetFeedbackControl!
23 ChangeFeedbackControl
24 GetDeviceKeyMapping!
25 ChangeDeviceKeyMapping
26 GetDeviceModifierMapping!
27 SetDeviceModifierMapping!
28 GetDeviceButtonMapping!
29 SetDeviceButtonMapping!
30 QueryDeviceState!
31 SendExtensionEvent destination=id@0
32 DeviceBell
33 SetDeviceValuators!
34 GetDeviceControl!
35 ChangeDeviceControl!
36 ListDeviceProperties!
37 ChangeDeviceProperty property=atom@0 type=atom@4
38 DeleteDeviceProperty property=atom@0
39 GetDeviceProperty! property=atom@0 type=atom@4
40 XIQueryPointer! window=id@0
41 XIWarpPointer src_win=id@0 dst_win=id@4
42 XIChangeCursor window=id@0 cursor=id@4
43 XIChangeHierarchy
44 XISetClientPointer window=id@0
45 XIGetClientPointer! window=id@0
46 XISelectEvents window=id@0 events=xi2@4
47 XIQueryVersion!
48 XIQueryDevice!
49 XISetFocus window=id@0
50 XIGetFocus!
51 XIGrabDevice! window=id@0 cursor=id@8
52 XIUngrabDevice
53 XIAllowEvents grab_window=id@12
54 XIPassiveGrabDevice! grab_window=id@4 cursor=id@8
55 XIPassiveUngrabDevice grab_window=id@0
56 XIListProperties!
57 XIChangeProperty property=atom@4 type=atom@8
58 XIDeleteProperty property=atom@4
59 XIGetProperty! property=atom@4 type=atom@8
60 XIGetSelectedEvents! window=id@0
61 XIBarrierReleasePointer
== XKEYBOARD
0 UseExtension!
1 SelectEvents
3 Bell name=atom@16 window=id@20
4 GetState!
5 LatchLockState
6 GetControls!
7 SetControls
8 GetMap!
9 SetMap
10 GetCompatMap!
11 SetCompatMap
12 GetIndicatorState!
13 GetIndicatorMap!
14 SetIndicatorMap
15 GetNamedIndicator! indicator=atom@8
16 SetNamedIndicator indicator=atom@8
17 GetNames!
18 SetNames
21 PerClientFlags!
22 ListComponents!
23 GetKbdByName! load=u8@6
24 GetDeviceInfo!
25 SetDeviceInfo
101 SetDebuggingFlags!
== XVideo
0 QueryExtension!
1 QueryAdaptors! window=id@0
2 QueryEncodings! port=id@0
3 GrabPort! port=id@0
4 UngrabPort port=id@0
5 PutVideo port=id@0 drawable=id@4 gc=id@8
6 PutStill port=id@0 drawable=id@4 gc=id@8
7 GetVideo port=id@0 drawable=id@4 gc=id@8
8 GetStill port=id@0 drawable=id@4 gc=id@8
9 StopVideo port=id@0 drawable=id@4
10 SelectVideoNotify drawable=id@0
11 SelectPortNotify port=id@0
12 QueryBestSize! port=id@0
13 SetPortAttribute port=id@0 attribute=atom@4
14 GetPortAttribute! port=id@0 attribute=atom@4
15 QueryPortAttributes! port=id@0
16 ListImageFormats! port=id@0
17 QueryImageAttributes! port=id@0
18 PutImage port=id@0 drawable=id@4 gc=id@8
19 ShmPutImage port=id@0 drawable=id@4 gc=id@8 shmseg=id@12
`;
