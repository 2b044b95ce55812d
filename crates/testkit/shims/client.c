/*
 * A preloaded library that lets real Mesa use DRI3 without a GPU.
 *
 * What DRI3Open hands out under server.c is a file named x11bridge-test-node. To the program that has this library
 * loaded, it looks like a DRM device with dumb buffers and PRIME, each buffer a memfd: enough for Mesa's kms_swrast
 * (MESA_LOADER_DRIVER_OVERRIDE=kms_swrast). What libdrm says of the device is in client-libdrm.c.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <drm.h>
#include <drm_mode.h>

#define HANDLES_MAX 4096
#define PITCH_ALIGNMENT 64u
#define PAGE_BYTES 4096ull
/* Where in the offset that MAP_DUMB hands out the handle stands. */
#define HANDLE_SHIFT 40

/* A buffer by its handle: one for each file, however many descriptors of it come. */
struct handle {
    int fd;
    unsigned references;
    dev_t device;
    ino_t inode;
};

static struct handle handles[HANDLES_MAX]; /* 0 is none */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool is_node(int fd)
{
    char link[32], target[64] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, target, sizeof target - 1) > 0 && strstr(target, "x11bridge-test-node") != NULL;
}

static struct handle *known(unsigned number)
{
    return number > 0 && number < HANDLES_MAX && handles[number].references > 0 ? &handles[number] : NULL;
}

/* The handle of a file; takes the descriptor over. 0: there are too many. */
static unsigned handle_of(int fd)
{
    struct stat status;
    unsigned unused = 0;
    if (fd < 0 || fstat(fd, &status) != 0)
        return 0;
    for (unsigned at = HANDLES_MAX - 1; at > 0; at--) {
        struct handle *handle = &handles[at];
        if (handle->references == 0) {
            unused = at;
        } else if (handle->device == status.st_dev && handle->inode == status.st_ino) {
            handle->references++;
            close(fd);
            return at;
        }
    }
    if (unused > 0)
        handles[unused] = (struct handle){ .fd = fd, .references = 1, .device = status.st_dev, .inode = status.st_ino };
    else
        close(fd);
    return unused;
}

static int release(unsigned number)
{
    struct handle *handle = known(number);
    if (handle == NULL)
        return -EINVAL;
    if (--handle->references == 0)
        close(handle->fd);
    return 0;
}

static int version(struct drm_version *version)
{
    static const char name[] = "vgem";
    if (version->name != NULL && version->name_len >= strlen(name))
        memcpy(version->name, name, strlen(name));
    version->version_major = 1;
    version->name_len = strlen(name);
    version->date_len = version->desc_len = 0;
    return 0;
}

static int capability(struct drm_get_cap *asked)
{
    asked->value = asked->capability == DRM_CAP_PRIME       ? DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT
                   : asked->capability == DRM_CAP_DUMB_BUFFER ? 1
                                                              : 0;
    return 0;
}

static int create_dumb(struct drm_mode_create_dumb *dumb)
{
    dumb->pitch = (dumb->width * ((dumb->bpp + 7) / 8) + PITCH_ALIGNMENT - 1) & ~(PITCH_ALIGNMENT - 1);
    dumb->size = ((uint64_t)dumb->pitch * dumb->height + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    int fd = memfd_create("x11bridge-test-buffer", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)dumb->size) != 0)
        return -ENOMEM;
    dumb->handle = handle_of(fd);
    return dumb->handle != 0 ? 0 : -ENOSPC;
}

static int map_dumb(struct drm_mode_map_dumb *map)
{
    map->offset = (uint64_t)map->handle << HANDLE_SHIFT;
    return known(map->handle) != NULL ? 0 : -ENOENT;
}

static int export_handle(struct drm_prime_handle *prime)
{
    struct handle *handle = known(prime->handle);
    if (handle == NULL)
        return -ENOENT;
    prime->fd = fcntl(handle->fd, prime->flags & DRM_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    return prime->fd >= 0 ? 0 : -errno;
}

static int import_fd(struct drm_prime_handle *prime)
{
    prime->handle = handle_of(fcntl(prime->fd, F_DUPFD_CLOEXEC, 0));
    return prime->handle != 0 ? 0 : -EINVAL;
}

static int answer(unsigned long request, void *argument)
{
    switch (request) {
    case DRM_IOCTL_VERSION:
        return version(argument);
    case DRM_IOCTL_GET_CAP:
        return capability(argument);
    case DRM_IOCTL_MODE_CREATE_DUMB:
        return create_dumb(argument);
    case DRM_IOCTL_MODE_MAP_DUMB:
        return map_dumb(argument);
    case DRM_IOCTL_MODE_DESTROY_DUMB:
        return release(((struct drm_mode_destroy_dumb *)argument)->handle);
    case DRM_IOCTL_GEM_CLOSE:
        return release(((struct drm_gem_close *)argument)->handle);
    case DRM_IOCTL_PRIME_HANDLE_TO_FD:
        return export_handle(argument);
    case DRM_IOCTL_PRIME_FD_TO_HANDLE:
        return import_fd(argument);
    default:
        return -ENOTTY;
    }
}

EXPORTED int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (_IOC_TYPE(request) != DRM_IOCTL_BASE || !is_node(fd))
        return (int)syscall(SYS_ioctl, fd, request, argument);
    pthread_mutex_lock(&lock);
    int result = answer(request, argument);
    pthread_mutex_unlock(&lock);
    if (result == 0)
        return 0;
    errno = -result;
    return -1;
}

/* A mapping of the node at a buffer's offset is one of the buffer. */
static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    unsigned number = (uint64_t)offset >> HANDLE_SHIFT;
    if (fd >= 0 && number > 0 && is_node(fd)) {
        pthread_mutex_lock(&lock);
        struct handle *handle = known(number);
        fd = handle != NULL ? handle->fd : -1;
        pthread_mutex_unlock(&lock);
        offset &= (1ll << HANDLE_SHIFT) - 1;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return map(address, length, protection, flags, fd, offset);
}

EXPORTED void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    return map(address, length, protection, flags, fd, offset);
}
