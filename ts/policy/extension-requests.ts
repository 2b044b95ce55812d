// The requests of the extensions that policies have rules for, each extension behind a line with its name; written like those of the core
// protocol in core-requests.ts. The last request of each is the last that this version knows.

import { INPUT_EXTENSION_REQUESTS } from './input-extension-requests.js';

export const EXTENSION_REQUESTS = `
== BIG-REQUESTS
0 Enable!
== Composite
0 QueryVersion!
1 RedirectWindow window=id@0
2 RedirectSubwindows window=id@0
3 UnredirectWindow window=id@0
4 UnredirectSubwindows window=id@0
5 CreateRegionFromBorderClip region=new@0 window=id@4
6 NameWindowPixmap window=id@0 pixmap=new@4
7 GetOverlayWindow! window=id@0
8 ReleaseOverlayWindow window=id@0
== DAMAGE
0 QueryVersion!
1 Create damage=new@0 drawable=id@4
2 Destroy damage=id@0
3 Subtract damage=id@0 repair=id@4 parts=id@8
4 Add drawable=id@0 region=id@4
== DOUBLE-BUFFER
0 QueryVersion!
1 AllocateBackBuffer window=id@0 buffer=new@4
2 DeallocateBackBuffer buffer=id@0
3 SwapBuffers first_window=id@4
4 BeginIdiom
5 EndIdiom
6 GetVisualInfo!
7 GetBackBufferAttributes! buffer=id@0
== DPMS
0 GetVersion!
1 Capable!
2 GetTimeouts!
3 SetTimeouts
4 Enable
5 Disable
6 ForceLevel
7 Info!
== DRI3
0 QueryVersion!
1 Open! drawable=id@0
2 PixmapFromBuffer pixmap=new@0 drawable=id@4
3 BufferFromPixmap! pixmap=id@0
4 FenceFromFD drawable=id@0
5 FDFromFence! drawable=id@0
6 GetSupportedModifiers!
7 PixmapFromBuffers pixmap=new@0 window=id@4
8 BuffersFromPixmap! pixmap=id@0
9 SetDRMDeviceInUse window=id@0
10 ImportSyncobj syncobj=new@0 drawable=id@4
11 FreeSyncobj syncobj=id@0
== GLX
3 CreateContext context=new@0 share_list=id@12
4 DestroyContext context=id@0
5 MakeCurrent! drawable=id@0 context=id@4
6 IsDirect! context=id@0
7 QueryVersion!
10 CopyContext src=id@0 dest=id@4
11 SwapBuffers drawable=id@4
12 UseXFont font=id@4
13 CreateGLXPixmap pixmap=id@8 glx_pixmap=new@12
15 DestroyGLXPixmap glx_pixmap=id@0
16 VendorPrivate
17 VendorPrivateWithReply!
19 QueryServerString!
22 CreatePixmap fbconfig=id@4 pixmap=id@8 glx_pixmap=new@12
23 DestroyPixmap glx_pixmap=id@0
24 CreateNewContext context=new@0 fbconfig=id@4 share_list=id@16
25 QueryContext! context=id@0
26 MakeContextCurrent! drawable=id@4 read_drawable=id@8 context=id@12
27 CreatePbuffer fbconfig=id@4 pbuffer=new@8
28 DestroyPbuffer pbuffer=id@0
29 GetDrawableAttributes! drawable=id@0
30 ChangeDrawableAttributes drawable=id@0
31 CreateWindow fbconfig=id@4 window=id@8 glx_window=new@12
32 DeleteWindow glxwindow=id@0
34 CreateContextAttribsARB context=new@0 fbconfig=id@4 share_list=id@12
111 ReadPixels!
166 GetQueryObjectuivARB!
== Generic Event Extension
0 QueryVersion!
== MIT-SCREEN-SAVER
0 QueryVersion!
1 QueryInfo! drawable=id@0
2 SelectInput drawable=id@0 event_mask=u32@4
3 SetAttributes drawable=id@0
4 UnsetAttributes drawable=id@0
5 Suspend
== MIT-SHM
0 QueryVersion!
1 Attach shmseg=new@0
2 Detach shmseg=id@0
3 PutImage drawable=id@0 gc=id@4 shmseg=id@28
4 GetImage! drawable=id@0 shmseg=id@20
5 CreatePixmap pid=new@0 drawable=id@4 shmseg=id@16
6 AttachFd shmseg=new@0
7 CreateSegment! shmseg=new@0
== Present
0 QueryVersion!
1 Pixmap window=id@0 pixmap=id@4 valid=id@12 update=id@16 target_crtc=id@24 wait_fence=id@28 idle_fence=id@32
2 NotifyMSC window=id@0
3 SelectInput eid=new@0 window=id@4 event_mask=u32@8
4 QueryCapabilities!
5 PixmapSynced window=id@0 pixmap=id@4 valid=id@12 update=id@16 target_crtc=id@24
== RANDR
0 QueryVersion!
2 SetScreenConfig! window=id@0
4 SelectInput window=id@0
5 GetScreenInfo! window=id@0
6 GetScreenSizeRange! window=id@0
7 SetScreenSize window=id@0
8 GetScreenResources! window=id@0
9 GetOutputInfo! output=id@0
10 ListOutputProperties! output=id@0
11 QueryOutputProperty! output=id@0 property=atom@4
12 ConfigureOutputProperty output=id@0 property=atom@4
13 ChangeOutputProperty output=id@0 property=atom@4 type=atom@8
14 DeleteOutputProperty output=id@0 property=atom@4
15 GetOutputProperty! output=id@0 property=atom@4 type=atom@8
16 CreateMode! window=id@0
17 DestroyMode mode=id@0
18 AddOutputMode output=id@0 mode=id@4
19 DeleteOutputMode output=id@0 mode=id@4
20 GetCrtcInfo! crtc=id@0
21 SetCrtcConfig! crtc=id@0 mode=id@16
22 GetCrtcGammaSize! crtc=id@0
23 GetCrtcGamma! crtc=id@0
24 SetCrtcGamma crtc=id@0
25 GetScreenResourcesCurrent! window=id@0
26 SetCrtcTransform crtc=id@0
27 GetCrtcTransform! crtc=id@0
28 GetPanning! crtc=id@0
29 SetPanning! crtc=id@0
30 SetOutputPrimary window=id@0 output=id@4
31 GetOutputPrimary! window=id@0
32 GetProviders! window=id@0
33 GetProviderInfo! provider=id@0
34 SetProviderOffloadSink provider=id@0 sink_provider=id@4
35 SetProviderOutputSource provider=id@0 source_provider=id@4
36 ListProviderProperties! provider=id@0
37 QueryProviderProperty! provider=id@0 property=atom@4
38 ConfigureProviderProperty provider=id@0 property=atom@4
39 ChangeProviderProperty provider=id@0 property=atom@4 type=atom@8
40 DeleteProviderProperty provider=id@0 property=atom@4
41 GetProviderProperty! provider=id@0 property=atom@4 type=atom@8
42 GetMonitors! window=id@0
43 SetMonitor window=id@0
44 DeleteMonitor window=id@0 name=atom@4
45 CreateLease! window=id@0 lid=new@4
46 FreeLease lid=id@0
== RENDER
0 QueryVersion!
1 QueryPictFormats!
2 QueryPictIndexValues! format=id@0
4 CreatePicture pid=new@0 drawable=id@4 format=id@8 alpha_map=values@12/16#1 clip_mask=values@12/16#6
5 ChangePicture picture=id@0 alpha_map=values@4/8#1 clip_mask=values@4/8#6
6 SetPictureClipRectangles picture=id@0
7 FreePicture picture=id@0
8 Composite src=id@4 mask=id@8 dst=id@12
10 Trapezoids src=id@4 dst=id@8 mask_format=id@12
11 Triangles src=id@4 dst=id@8 mask_format=id@12
12 TriStrip src=id@4 dst=id@8 mask_format=id@12
13 TriFan src=id@4 dst=id@8 mask_format=id@12
17 CreateGlyphSet gsid=new@0 format=id@4
18 ReferenceGlyphSet gsid=new@0 existing=id@4
19 FreeGlyphSet glyphset=id@0
20 AddGlyphs glyphset=id@0
22 FreeGlyphs glyphset=id@0
23 CompositeGlyphs8 src=id@4 dst=id@8 mask_format=id@12 glyphset=id@16
24 CompositeGlyphs16 src=id@4 dst=id@8 mask_format=id@12 glyphset=id@16
25 CompositeGlyphs32 src=id@4 dst=id@8 mask_format=id@12 glyphset=id@16
26 FillRectangles dst=id@4
27 CreateCursor cid=new@0 source=id@4
28 SetPictureTransform picture=id@0
29 QueryFilters! drawable=id@0
30 SetPictureFilter picture=id@0
31 CreateAnimCursor cid=new@0
32 AddTraps picture=id@0
33 CreateSolidFill picture=new@0
34 CreateLinearGradient picture=new@0
35 CreateRadialGradient picture=new@0
36 CreateConicalGradient picture=new@0
== SHAPE
0 QueryVersion!
1 Rectangles destination_window=id@4
2 Mask destination_window=id@4 source_bitmap=id@12
3 Combine destination_window=id@4 source_window=id@12
4 Offset destination_window=id@4
5 QueryExtents! destination_window=id@0
6 SelectInput destination_window=id@0
7 InputSelected! destination_window=id@0
8 GetRectangles! window=id@0
== SYNC
0 Initialize!
1 ListSystemCounters!
2 CreateCounter id=new@0
3 SetCounter counter=id@0
4 ChangeCounter counter=id@0
5 QueryCounter! counter=id@0
6 DestroyCounter counter=id@0
7 Await
8 CreateAlarm id=new@0 counter=values@4/8#0
9 ChangeAlarm id=id@0 counter=values@4/8#0
10 QueryAlarm! alarm=id@0
11 DestroyAlarm alarm=id@0
12 SetPriority resource=id@0
13 GetPriority!
14 CreateFence drawable=id@0 fence=new@4
15 TriggerFence fence=id@0
16 ResetFence fence=id@0
17 DestroyFence fence=id@0
18 QueryFence! fence=id@0
19 AwaitFence
== XC-MISC
0 GetVersion!
1 GetXIDRange!
2 GetXIDList!
${INPUT_EXTENSION_REQUESTS}`;
