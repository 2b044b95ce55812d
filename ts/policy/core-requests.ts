// The requests of the core protocol (X11 protocol, appendix B): opcode, name with ! where it has a reply, and the fields that rules may
// ask for. Offsets count from behind the header. QueryExtension, ListExtensions and NoOperation are left out: the bridge rests on them.
//
//   name=id@4            a resource id, 4 bytes at offset 4      name=new@0     the id that the request makes
//   name=u8@0            a number of 1, 2 or 4 bytes             name=u8@detail the byte beside the opcode
//   name=atom@4          an atom                                 name=xi2@4     the masks of XISelectEvents
//   name=requested@0/4   whether the other side asked for this property, or just something, of this window: SelectionRequest
//   name=values@4/8#11   an id in a list of values: its mask is at 4 (values16: 2 bytes), the list at 8, its bit is 11; with :u32 a number

export const CORE_REQUESTS = `
1 CreateWindow wid=new@0 parent=id@4 value_mask=u32@24 background_pixmap=values@24/28#0 border_pixmap=values@24/28#2 event_mask=values@24/28#11:u32 colormap=values@24/28#13 cursor=values@24/28#14
2 ChangeWindowAttributes window=id@0 value_mask=u32@4 background_pixmap=values@4/8#0 cursor=values@4/8#14 colormap=values@4/8#13 border_pixmap=values@4/8#2 event_mask=values@4/8#11:u32
3 GetWindowAttributes! window=id@0
4 DestroyWindow window=id@0
5 DestroySubwindows window=id@0
6 ChangeSaveSet mode=u8@detail window=id@0
7 ReparentWindow window=id@0 parent=id@4
8 MapWindow window=id@0
9 MapSubwindows window=id@0
10 UnmapWindow window=id@0
11 UnmapSubwindows window=id@0
12 ConfigureWindow window=id@0 value_mask=u16@4 sibling=values16@4/8#5
13 CirculateWindow window=id@0
14 GetGeometry! drawable=id@0
15 QueryTree! window=id@0
16 InternAtom!
17 GetAtomName! atom=atom@0
18 ChangeProperty mode=u8@detail window=id@0 property=atom@4 type=atom@8 format=u8@12 data_len=u32@16 requested=requested@0/4
19 DeleteProperty window=id@0 property=atom@4
20 GetProperty! delete=u8@detail window=id@0 property=atom@4 type=atom@8
21 ListProperties! window=id@0
22 SetSelectionOwner owner=id@0 selection=atom@4
23 GetSelectionOwner! selection=atom@0
24 ConvertSelection requestor=id@0 selection=atom@4 target=atom@8 property=atom@12
25 SendEvent propagate=u8@detail destination=id@0 event_mask=u32@4 event=u8@8 event_window=id@12 event_window2=id@16 message_type=atom@16 requested=requested@0
26 GrabPointer! grab_window=id@0 event_mask=u16@4 confine_to=id@8 cursor=id@12
27 UngrabPointer
28 GrabButton grab_window=id@0 event_mask=u16@4 confine_to=id@8 cursor=id@12
29 UngrabButton grab_window=id@0
30 ChangeActivePointerGrab cursor=id@0 event_mask=u16@8
31 GrabKeyboard! grab_window=id@0
32 UngrabKeyboard
33 GrabKey grab_window=id@0
34 UngrabKey grab_window=id@0
35 AllowEvents mode=u8@detail
36 GrabServer
37 UngrabServer
38 QueryPointer! window=id@0
39 GetMotionEvents! window=id@0
40 TranslateCoordinates! src_window=id@0 dst_window=id@4
41 WarpPointer src_window=id@0 dst_window=id@4
42 SetInputFocus focus=id@0
43 GetInputFocus!
44 QueryKeymap!
45 OpenFont fid=new@0
46 CloseFont font=id@0
47 QueryFont! font=id@0
48 QueryTextExtents! font=id@0
49 ListFonts!
50 ListFontsWithInfo!
51 SetFontPath
52 GetFontPath!
53 CreatePixmap pid=new@0 drawable=id@4
54 FreePixmap pixmap=id@0
55 CreateGC cid=new@0 drawable=id@4 value_mask=u32@8 tile=values@8/12#10 stipple=values@8/12#11 font=values@8/12#14 clip_mask=values@8/12#19
56 ChangeGC gc=id@0 value_mask=u32@4 tile=values@4/8#10 stipple=values@4/8#11 font=values@4/8#14 clip_mask=values@4/8#19
57 CopyGC src_gc=id@0 dst_gc=id@4 value_mask=u32@8
58 SetDashes gc=id@0
59 SetClipRectangles gc=id@0
60 FreeGC gc=id@0
61 ClearArea window=id@0
62 CopyArea src_drawable=id@0 dst_drawable=id@4 gc=id@8
63 CopyPlane src_drawable=id@0 dst_drawable=id@4 gc=id@8
64 PolyPoint drawable=id@0 gc=id@4
65 PolyLine drawable=id@0 gc=id@4
66 PolySegment drawable=id@0 gc=id@4
67 PolyRectangle drawable=id@0 gc=id@4
68 PolyArc drawable=id@0 gc=id@4
69 FillPoly drawable=id@0 gc=id@4
70 PolyFillRectangle drawable=id@0 gc=id@4
71 PolyFillArc drawable=id@0 gc=id@4
72 PutImage drawable=id@0 gc=id@4
73 GetImage! drawable=id@0
74 PolyText8 drawable=id@0 gc=id@4
75 PolyText16 drawable=id@0 gc=id@4
76 ImageText8 drawable=id@0 gc=id@4
77 ImageText16 drawable=id@0 gc=id@4
78 CreateColormap mid=new@0 window=id@4
79 FreeColormap cmap=id@0
80 CopyColormapAndFree mid=new@0 src_cmap=id@4
81 InstallColormap cmap=id@0
82 UninstallColormap cmap=id@0
83 ListInstalledColormaps! window=id@0
84 AllocColor! cmap=id@0
85 AllocNamedColor! cmap=id@0
86 AllocColorCells! cmap=id@0
87 AllocColorPlanes! cmap=id@0
88 FreeColors cmap=id@0
89 StoreColors cmap=id@0
90 StoreNamedColor cmap=id@0
91 QueryColors! cmap=id@0
92 LookupColor! cmap=id@0
93 CreateCursor cid=new@0 source=id@4 mask=id@8
94 CreateGlyphCursor cid=new@0 source_font=id@4 mask_font=id@8
95 FreeCursor cursor=id@0
96 RecolorCursor cursor=id@0
97 QueryBestSize! drawable=id@0
100 ChangeKeyboardMapping
101 GetKeyboardMapping!
102 ChangeKeyboardControl value_mask=u32@0
103 GetKeyboardControl!
104 Bell
105 ChangePointerControl
106 GetPointerControl!
107 SetScreenSaver
108 GetScreenSaver!
109 ChangeHosts mode=u8@detail
110 ListHosts!
111 SetAccessControl mode=u8@detail
112 SetCloseDownMode mode=u8@detail
113 KillClient resource=id@0
114 RotateProperties window=id@0
115 ForceScreenSaver mode=u8@detail
116 SetPointerMapping!
117 GetPointerMapping!
118 SetModifierMapping!
119 GetModifierMapping!
`;
