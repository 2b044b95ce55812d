/* SYNC fences that are futexes in a shared page when a client asks for that, by the same library that clients use. */
#include "server.h"

#include <X11/xshmfence.h>
#include <dix.h>
#include <misync.h>
#include <misyncfd.h>
#include <misyncstr.h>
#include <privates.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of each fence; all zero while it is the server's own. */
struct page {
    struct xshmfence *map;
    int fd;
};

static DevPrivateKeyRec page_key;

static struct page *page_of(SyncFence *fence)
{
    return dixLookupPrivate(&fence->devPrivates, &page_key);
}

static void trigger(SyncFence *fence)
{
    struct page *page = page_of(fence);
    if (page->map != NULL)
        xshmfence_trigger(page->map);
    fence->triggered = TRUE;
}

static void reset(SyncFence *fence)
{
    struct page *page = page_of(fence);
    if (page->map != NULL)
        xshmfence_reset(page->map);
    fence->triggered = FALSE;
}

static Bool is_triggered(SyncFence *fence)
{
    struct page *page = page_of(fence);
    return page->map != NULL ? xshmfence_query(page->map) : fence->triggered;
}

/* Nothing to do: who waits is told by the server when a client triggers the fence by request. */
static void wait_changed(SyncTrigger *trigger)
{
}

static void create(ScreenPtr screen, SyncFence *fence, Bool triggered)
{
    static const SyncFenceFuncsRec functions = {
        .SetTriggered = trigger,
        .Reset = reset,
        .CheckTriggered = is_triggered,
        .AddTrigger = wait_changed,
        .DeleteTrigger = wait_changed,
    };
    miSyncScreenCreateFence(screen, fence, triggered);
    *page_of(fence) = (struct page){ .map = NULL, .fd = -1 };
    fence->funcs = functions;
}

static void destroy(ScreenPtr screen, SyncFence *fence)
{
    struct page *page = page_of(fence);
    if (page->map != NULL) {
        xshmfence_trigger(page->map); /* nobody is left waiting */
        xshmfence_unmap_shm(page->map);
        close(page->fd);
        page->map = NULL;
    }
    miSyncScreenDestroyFence(screen, fence);
}

/* Takes the descriptor over, also when it fails. */
static int create_from_fd(ScreenPtr screen, SyncFence *fence, int fd, Bool triggered)
{
    miSyncInitFence(screen, fence, triggered);
    struct stat status;
    struct page *page = page_of(fence);
    /* Too short a file would be mapped, and end the server at the first look. */
    if (fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof(int))
        page->map = xshmfence_map_shm(fd);
    if (page->map == NULL) {
        close(fd);
        return BadMatch;
    }
    page->fd = fd;
    return Success;
}

/* The descriptor stays the fence's own. */
static int fd_of(ScreenPtr screen, SyncFence *fence)
{
    struct page *page = page_of(fence);
    if (page->map != NULL)
        return page->fd;
    int fd = xshmfence_alloc_shm();
    if (fd < 0)
        return -1;
    page->map = xshmfence_map_shm(fd);
    if (page->map == NULL) {
        close(fd);
        return -1;
    }
    page->fd = fd;
    if (fence->triggered)
        xshmfence_trigger(page->map);
    return fd;
}

Bool offer_fences(ScreenPtr screen)
{
    static const SyncFdScreenFuncsRec functions = {
        .version = SYNC_FD_SCREEN_FUNCS_VERSION,
        .CreateFenceFromFd = create_from_fd,
        .GetFenceFd = fd_of,
    };
    if (!miSyncSetup(screen) || !miSyncFdScreenInit(screen, &functions) ||
        !dixRegisterPrivateKey(&page_key, PRIVATE_SYNC_FENCE, sizeof(struct page)))
        return FALSE;
    SyncScreenFuncsPtr screen_functions = miSyncGetScreenFuncs(screen);
    screen_functions->CreateFence = create;
    screen_functions->DestroyFence = destroy;
    return TRUE;
}
