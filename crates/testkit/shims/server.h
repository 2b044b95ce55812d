/* Gives a stock X server without a GPU (Xvfb) what DRI3 needs: see server.c. */
#ifndef X11BRIDGE_SHIM_SERVER_H
#define X11BRIDGE_SHIM_SERVER_H

/* First of all: it says how the server was built. */
#include <xorg-server.h>

#include <scrnintstr.h>

/* Says on standard error what fails. */
void complain(const char *what);

/* DRI3's buffers on that screen; what they are is in server-buffers.c. */
Bool offer_buffers(ScreenPtr screen);

/* SYNC fences that can be shared, on that screen. */
Bool offer_fences(ScreenPtr screen);

#endif
