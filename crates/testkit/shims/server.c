/*
 * A preloaded library that gives a stock Xvfb DRI3 1.2, without a GPU and without a change to the server.
 *
 * Xvfb is linked with all of DRI3, Present and SYNC, but no screen of it offers buffers, so it leaves DRI3 out. This
 * library adds buffers (any file that can be mapped) and fences (libxshmfence) to each screen. The requests, their
 * checks, the passing of descriptors, Present: all of that is the server's own code.
 *
 * It needs a moment at which the screens exist and DRI3 has not looked at them yet. AddExtension copies the extension's
 * name by strdup, and the first one comes just then.
 *
 * Start the server with -noreset, or with one client that stays: a second generation is served as well, but the server
 * itself drops what clients had.
 */
#include "server.h"

#include <dix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_EXTENSION "Generic Event Extension"

/* Absent in other programs that the library is loaded into, such as a wrapper that starts the server. */
#pragma weak screenInfo
#pragma weak serverGeneration

void complain(const char *what)
{
    fprintf(stderr, "x11bridge test shim: %s\n", what);
}

/* The server's children are to run as they are. */
static void __attribute__((constructor)) leave_children_alone(void)
{
    if (&serverGeneration != NULL)
        unsetenv("LD_PRELOAD");
}

static void equip_screens(void)
{
    for (int i = 0; i < screenInfo.numScreens; i++) {
        ScreenPtr screen = screenInfo.screens[i];
        if (!offer_fences(screen) || !offer_buffers(screen))
            complain("a screen takes no fences or buffers; DRI3 stays absent");
    }
}

__attribute__((visibility("default"))) char *strdup(const char *text)
{
    static unsigned long equipped;
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    if (&serverGeneration != NULL && equipped != serverGeneration && screenInfo.numScreens > 0 &&
        strcmp(text, FIRST_EXTENSION) == 0) {
        equipped = serverGeneration;
        equip_screens();
    }
    return copy;
}
