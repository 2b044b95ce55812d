/* What libdrm finds out about a device from sysfs, for the file that is none. */
#include "client.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xf86drm.h>

#define CARD "/dev/dri/card0"
#define RENDER_NODE "/dev/dri/renderD128"

/* libdrm's own function of that name, or NULL where the program has not loaded it. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char card[] = CARD, render_node[] = RENDER_NODE, no_node[] = "";
static char *nodes[DRM_NODE_MAX] = { [DRM_NODE_PRIMARY] = card, [DRM_NODE_CONTROL] = no_node, [DRM_NODE_RENDER] = render_node };
static drmPlatformBusInfo bus = { .fullname = "/platform/vgem" };
static drmPlatformDeviceInfo platform;
static drmDevice device = {
    .nodes = nodes,
    .available_nodes = 1 << DRM_NODE_PRIMARY | 1 << DRM_NODE_RENDER,
    .bustype = DRM_BUS_PLATFORM,
    .businfo.platform = &bus,
    .deviceinfo.platform = &platform,
};

EXPORTED int drmGetNodeTypeFromFd(int fd)
{
    __typeof__(&drmGetNodeTypeFromFd) next = NEXT(drmGetNodeTypeFromFd);
    return is_node(fd) ? DRM_NODE_PRIMARY : next != NULL ? next(fd) : -1;
}

EXPORTED char *drmGetDeviceNameFromFd2(int fd)
{
    __typeof__(&drmGetDeviceNameFromFd2) next = NEXT(drmGetDeviceNameFromFd2);
    return is_node(fd) ? strdup(CARD) : next != NULL ? next(fd) : NULL;
}

EXPORTED char *drmGetRenderDeviceNameFromFd(int fd)
{
    __typeof__(&drmGetRenderDeviceNameFromFd) next = NEXT(drmGetRenderDeviceNameFromFd);
    return is_node(fd) || next == NULL ? NULL : next(fd);
}

EXPORTED int drmGetDevice2(int fd, uint32_t flags, drmDevicePtr *found)
{
    __typeof__(&drmGetDevice2) next = NEXT(drmGetDevice2);
    if (!is_node(fd))
        return next != NULL ? next(fd, flags, found) : -ENODEV;
    *found = &device;
    return 0;
}

EXPORTED int drmGetDevice(int fd, drmDevicePtr *found)
{
    return drmGetDevice2(fd, 0, found);
}

EXPORTED void drmFreeDevice(drmDevicePtr *freed)
{
    __typeof__(&drmFreeDevice) next = NEXT(drmFreeDevice);
    if (freed != NULL && *freed == &device)
        *freed = NULL;
    else if (next != NULL)
        next(freed);
}

EXPORTED int drmDevicesEqual(drmDevicePtr one, drmDevicePtr other)
{
    __typeof__(&drmDevicesEqual) next = NEXT(drmDevicesEqual);
    return one == &device || other == &device || next == NULL ? one == other : next(one, other);
}

EXPORTED int drmGetDevices2(uint32_t flags, drmDevicePtr found[], int room)
{
    __typeof__(&drmGetDevices2) next = NEXT(drmGetDevices2);
    int count = next != NULL ? next(flags, found, found != NULL && room > 0 ? room - 1 : 0) : 0;
    if (count < 0)
        count = 0;
    if (found != NULL && count < room)
        found[count] = &device;
    return count + 1;
}

EXPORTED void drmFreeDevices(drmDevicePtr freed[], int count)
{
    for (int i = 0; i < count; i++)
        drmFreeDevice(&freed[i]);
}
