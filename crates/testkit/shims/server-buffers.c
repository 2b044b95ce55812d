/*
 * DRI3's buffers: any file that can be mapped and written, such as a memfd.
 *
 * The first descriptor holds the pixels, 32 bits each, linear. Up to three more are kept as the planes of metadata of
 * some formats are: the server looks whether they are as long as they say, and gives them back.
 */
#include "server.h"

#include <dix.h>
#include <dri3.h>
#include <errno.h>
#include <fcntl.h>
#include <pixmapstr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLANES_MAX 4
#define SCREENS_MAX 16
#define BITS_PER_PIXEL 32
#define MODIFIER_LINEAR 0
#define MODIFIER_ANY 0x00ffffffffffffffULL
/* What DRI3Open hands out: not a device, but a file that a test knows again by its name and its content. */
#define NODE_NAME "x11bridge-test-node"

struct plane {
    int fd;
    CARD32 stride, offset;
};

/* A pixmap whose pixels lie in a file. */
struct buffer {
    PixmapPtr pixmap;
    void *map;
    size_t length;
    int planes;
    struct plane plane[PLANES_MAX];
    struct buffer *next;
};

/* Absent in other programs that the library is loaded into, such as a wrapper that starts the server. */
#pragma weak globalSerialNumber

static struct buffer *buffers;
static DestroyPixmapProcPtr destroy_pixmap[SCREENS_MAX];

static struct buffer **find(PixmapPtr pixmap)
{
    struct buffer **at = &buffers;
    while (*at != NULL && (*at)->pixmap != pixmap)
        at = &(*at)->next;
    return at;
}

static void discard(struct buffer *buffer)
{
    if (buffer->map != NULL)
        munmap(buffer->map, buffer->length);
    for (int i = 0; i < buffer->planes; i++)
        close(buffer->plane[i].fd);
    free(buffer);
}

static Bool destroyed(PixmapPtr pixmap)
{
    ScreenPtr screen = pixmap->drawable.pScreen;
    struct buffer *gone = NULL;
    if (pixmap->refcnt == 1) {
        struct buffer **at = find(pixmap);
        gone = *at;
        if (gone != NULL)
            *at = gone->next;
    }
    screen->DestroyPixmap = destroy_pixmap[screen->myNum];
    Bool done = screen->DestroyPixmap(pixmap);
    destroy_pixmap[screen->myNum] = screen->DestroyPixmap;
    screen->DestroyPixmap = destroyed;
    if (gone != NULL)
        discard(gone);
    return done;
}

/* Keeps a descriptor of its own for each plane. */
static Bool add_plane(struct buffer *buffer, int fd, CARD32 stride, CARD32 offset)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return FALSE;
    buffer->plane[buffer->planes++] = (struct plane){ .fd = own, .stride = stride, .offset = offset };
    return TRUE;
}

/* Whether the file is as long as the plane says. Devices and pipes have no length, and can't be planes. */
static Bool holds(int fd, size_t length)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_size >= 0 && (size_t)status.st_size >= length;
}

static Bool map_pixels(struct buffer *buffer, CARD16 height)
{
    struct plane *pixels = &buffer->plane[0];
    buffer->length = (size_t)pixels->offset + (size_t)pixels->stride * height;
    if (!holds(pixels->fd, buffer->length))
        return FALSE;
    void *map = mmap(NULL, buffer->length, PROT_READ | PROT_WRITE, MAP_SHARED, pixels->fd, 0);
    if (map == MAP_FAILED)
        return FALSE;
    buffer->map = map;
    return TRUE;
}

static PixmapPtr show(struct buffer *buffer, ScreenPtr screen, CARD16 width, CARD16 height, CARD8 depth)
{
    PixmapPtr pixmap = screen->CreatePixmap(screen, 0, 0, depth, 0);
    char *pixels = (char *)buffer->map + buffer->plane[0].offset;
    if (pixmap == NULL)
        return NULL;
    if (!screen->ModifyPixmapHeader(pixmap, width, height, depth, BITS_PER_PIXEL, buffer->plane[0].stride, pixels)) {
        screen->DestroyPixmap(pixmap);
        return NULL;
    }
    buffer->pixmap = pixmap;
    buffer->next = buffers;
    buffers = buffer;
    return pixmap;
}

static PixmapPtr import_planes(ScreenPtr screen, CARD8 planes, const int *fds, CARD16 width, CARD16 height,
                               const CARD32 *strides, const CARD32 *offsets, CARD8 depth, CARD8 bits, CARD64 modifier)
{
    if (planes < 1 || planes > PLANES_MAX || bits != BITS_PER_PIXEL || strides[0] % 4 != 0 || strides[0] < width * 4u ||
        (modifier != MODIFIER_LINEAR && modifier != MODIFIER_ANY))
        return NULL;
    struct buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    for (int i = 0; i < planes; i++)
        if (!holds(fds[i], (size_t)offsets[i] + strides[i]) || !add_plane(buffer, fds[i], strides[i], offsets[i])) {
            discard(buffer);
            return NULL;
        }
    PixmapPtr pixmap = map_pixels(buffer, height) ? show(buffer, screen, width, height, depth) : NULL;
    if (pixmap == NULL)
        discard(buffer);
    return pixmap;
}

static PixmapPtr import_one(ScreenPtr screen, int fd, CARD16 width, CARD16 height, CARD16 stride, CARD8 depth, CARD8 bits)
{
    CARD32 strides = stride, offsets = 0;
    return import_planes(screen, 1, &fd, width, height, &strides, &offsets, depth, bits, MODIFIER_ANY);
}

/* Moves a pixmap of the server's own memory into a file, so that it can be shared. */
static struct buffer *move_out(ScreenPtr screen, PixmapPtr pixmap)
{
    DrawablePtr drawable = &pixmap->drawable;
    if (drawable->bitsPerPixel != BITS_PER_PIXEL || pixmap->devPrivate.ptr == NULL || pixmap == screen->GetScreenPixmap(screen))
        return NULL;
    struct buffer *buffer = calloc(1, sizeof *buffer);
    int fd = memfd_create("x11bridge-test-pixmap", MFD_CLOEXEC);
    if (buffer == NULL || fd < 0 || ftruncate(fd, (off_t)pixmap->devKind * drawable->height) != 0 ||
        !add_plane(buffer, fd, pixmap->devKind, 0) || !map_pixels(buffer, drawable->height)) {
        close(fd);
        if (buffer != NULL)
            discard(buffer);
        return NULL;
    }
    close(fd);
    memcpy(buffer->map, pixmap->devPrivate.ptr, buffer->length);
    screen->ModifyPixmapHeader(pixmap, 0, 0, 0, 0, 0, buffer->map);
    drawable->serialNumber = NEXT_SERIAL_NUMBER;
    buffer->pixmap = pixmap;
    buffer->next = buffers;
    buffers = buffer;
    return buffer;
}

static struct buffer *exported(ScreenPtr screen, PixmapPtr pixmap)
{
    struct buffer *buffer = *find(pixmap);
    return buffer != NULL ? buffer : move_out(screen, pixmap);
}

static int export_planes(ScreenPtr screen, PixmapPtr pixmap, int *fds, uint32_t *strides, uint32_t *offsets, uint64_t *modifier)
{
    struct buffer *buffer = exported(screen, pixmap);
    if (buffer == NULL)
        return 0;
    for (int i = 0; i < buffer->planes; i++) {
        fds[i] = fcntl(buffer->plane[i].fd, F_DUPFD_CLOEXEC, 3);
        strides[i] = buffer->plane[i].stride;
        offsets[i] = buffer->plane[i].offset;
    }
    *modifier = MODIFIER_LINEAR;
    return buffer->planes;
}

static int export_one(ScreenPtr screen, PixmapPtr pixmap, CARD16 *stride, CARD32 *size)
{
    struct buffer *buffer = exported(screen, pixmap);
    if (buffer == NULL)
        return -1;
    *stride = buffer->plane[0].stride;
    *size = buffer->length;
    return fcntl(buffer->plane[0].fd, F_DUPFD_CLOEXEC, 3);
}

static int open_node(ScreenPtr screen, RRProviderPtr provider, int *fd)
{
    int node = memfd_create(NODE_NAME, MFD_CLOEXEC);
    if (node < 0 || write(node, NODE_NAME, strlen(NODE_NAME)) < 0) {
        close(node);
        return BadAlloc;
    }
    *fd = node;
    return Success;
}

static int open_node_for(ClientPtr client, ScreenPtr screen, RRProviderPtr provider, int *fd)
{
    return open_node(screen, provider, fd);
}

/* XRGB and ARGB, as drm_fourcc.h numbers them. */
static Bool list_formats(ScreenPtr screen, CARD32 *count, CARD32 **formats)
{
    static const CARD32 known[] = { 0x34325258, 0x34325241 };
    *formats = malloc(sizeof known);
    if (*formats == NULL)
        return FALSE;
    memcpy(*formats, known, sizeof known);
    *count = sizeof known / sizeof *known;
    return TRUE;
}

static Bool list_modifiers(ScreenPtr screen, uint32_t format, uint32_t *count, uint64_t **modifiers)
{
    *modifiers = calloc(1, sizeof **modifiers); /* linear is 0 */
    *count = *modifiers != NULL;
    return *modifiers != NULL;
}

static Bool list_window_modifiers(DrawablePtr window, uint32_t format, uint32_t *count, uint64_t **modifiers)
{
    *count = 0;
    *modifiers = NULL;
    return TRUE;
}

Bool offer_buffers(ScreenPtr screen)
{
    static const dri3_screen_info_rec info = {
        .version = 2,
        .open = open_node,
        .pixmap_from_fd = import_one,
        .fd_from_pixmap = export_one,
        .open_client = open_node_for,
        .pixmap_from_fds = import_planes,
        .fds_from_pixmap = export_planes,
        .get_formats = list_formats,
        .get_modifiers = list_modifiers,
        .get_drawable_modifiers = list_window_modifiers,
    };
    if (screen->myNum >= SCREENS_MAX || !dri3_screen_init(screen, &info))
        return FALSE;
    destroy_pixmap[screen->myNum] = screen->DestroyPixmap;
    screen->DestroyPixmap = destroyed;
    return TRUE;
}
