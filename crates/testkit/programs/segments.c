/*
 * A client of MIT-SHM with System V segments, by libxcb, as toolkits use them. It prints what it sees, a line each, so
 * that a run through the bridge can be compared with a direct one.
 *
 *   segments images        images both ways, in part and whole, completion events, and errors
 *   segments pixmaps       whether pixmaps may lie in segments, and what becomes of one that is made all the same
 *   segments resizes N     N segments of other sizes, one after the other
 *   segments frames N      N images of 500 by 500 pixels from one segment; prints frames per second, alone
 *   segments images-plain N  the same by PutImage
 *   segments hold          makes a segment with known bytes, prints its number, and waits for the end of its input
 *   segments file PATH     images both ways in a file, by AttachFd; prints "attached", and waits for the end of its input
 *   segments take NUMBER   attaches a segment of that number, and draws from it
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <xcb/shm.h>
#include <xcb/xcb.h>

#define SIDE 64
#define BYTES (SIDE * SIDE * 4)
#define FRAME_SIDE 500

static xcb_connection_t *connection;
static xcb_screen_t *screen;
static xcb_gcontext_t gc;

struct segment {
    int number;
    uint32_t *pixels;
    xcb_shm_seg_t name;
};

static void fail(const char *what)
{
    printf("failed: %s\n", what);
    exit(1);
}

/* What a checked request came to: 0, or the error's code. */
static int outcome(xcb_void_cookie_t cookie)
{
    xcb_generic_error_t *error = xcb_request_check(connection, cookie);
    int code = error != NULL ? error->error_code : 0;
    if (error != NULL)
        printf("error %d of request %d.%d\n", error->error_code, error->major_code, error->minor_code);
    free(error);
    return code;
}

static uint32_t shade(int seed, int x, int y)
{
    return (uint32_t)(seed << 16 | (x * 3 & 0xff) << 8 | (y * 5 & 0xff));
}

static void fill(uint32_t *pixels, int side, int seed)
{
    for (int at = 0; at < side * side; at++)
        pixels[at] = shade(seed, at % side, at / side);
}

static struct segment make(size_t bytes)
{
    struct segment segment = { .number = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600) };
    if (segment.number < 0)
        fail("shmget");
    segment.pixels = shmat(segment.number, NULL, 0);
    if (segment.pixels == (void *)-1)
        fail("shmat");
    segment.name = xcb_generate_id(connection);
    return segment;
}

/* As toolkits do: attached by the server, then marked to go away with its last user. */
static struct segment attached(size_t bytes, bool read_only)
{
    struct segment segment = make(bytes);
    if (outcome(xcb_shm_attach_checked(connection, segment.name, segment.number, read_only)) != 0)
        fail("attach");
    shmctl(segment.number, IPC_RMID, NULL);
    return segment;
}

static void give_up(struct segment *segment)
{
    xcb_shm_detach(connection, segment->name);
    shmdt(segment->pixels);
}

static xcb_pixmap_t pixmap(void)
{
    xcb_pixmap_t id = xcb_generate_id(connection);
    xcb_create_pixmap(connection, screen->root_depth, id, screen->root, SIDE, SIDE);
    xcb_rectangle_t all = { 0, 0, SIDE, SIDE };
    xcb_poly_fill_rectangle(connection, id, gc, 1, &all);
    return id;
}

static xcb_void_cookie_t put(struct segment *segment, xcb_pixmap_t to, int x, int y, int width, int height, uint32_t offset)
{
    return xcb_shm_put_image_checked(connection, to, gc, SIDE, SIDE, x, y, width, height, x, y, screen->root_depth,
                                     XCB_IMAGE_FORMAT_Z_PIXMAP, 1, segment->name, offset);
}

/* Prints whether each pixel is of the seed within the rectangle, and untouched outside. */
static void compare(const char *what, xcb_pixmap_t drawn, int seed, int x, int y, int width, int height)
{
    xcb_get_image_cookie_t cookie = xcb_get_image(connection, XCB_IMAGE_FORMAT_Z_PIXMAP, drawn, 0, 0, SIDE, SIDE, ~0u);
    xcb_get_image_reply_t *reply = xcb_get_image_reply(connection, cookie, NULL);
    if (reply == NULL)
        fail("GetImage");
    uint32_t *pixels = (uint32_t *)xcb_get_image_data(reply);
    int wrong = 0;
    for (int at = 0; at < SIDE * SIDE; at++) {
        int px = at % SIDE, py = at / SIDE;
        bool inside = px >= x && px < x + width && py >= y && py < y + height;
        wrong += (pixels[at] & 0xffffff) != (inside ? shade(seed, px, py) : 0);
    }
    printf("%s: %d wrong pixels\n", what, wrong);
    free(reply);
}

static void completion(void)
{
    const xcb_query_extension_reply_t *shm = xcb_get_extension_data(connection, &xcb_shm_id);
    xcb_generic_event_t *event = xcb_wait_for_event(connection);
    if (event == NULL)
        fail("the connection broke");
    xcb_shm_completion_event_t *done = (xcb_shm_completion_event_t *)event;
    printf("event %d for request %d.%d at %u\n", event->response_type - shm->first_event, done->major_event - shm->major_opcode,
           done->minor_event, done->offset);
    free(event);
}

static void get(struct segment *segment, xcb_pixmap_t from, uint32_t offset)
{
    xcb_generic_error_t *error = NULL;
    xcb_shm_get_image_cookie_t cookie = xcb_shm_get_image(connection, from, 0, 0, SIDE, SIDE, ~0u, XCB_IMAGE_FORMAT_Z_PIXMAP, segment->name, offset);
    xcb_shm_get_image_reply_t *reply = xcb_shm_get_image_reply(connection, cookie, &error);
    if (reply != NULL)
        printf("got %u bytes of depth %d\n", reply->size, reply->depth);
    else
        printf("error %d of request %d.%d\n", error->error_code, error->major_code, error->minor_code);
    free(reply);
    free(error);
}

static void images(void)
{
    struct segment segment = attached(3 * BYTES, false);
    xcb_pixmap_t whole = pixmap(), part = pixmap();
    fill(segment.pixels, SIDE, 1);
    fill(segment.pixels + SIDE * SIDE, SIDE, 2);
    printf("put %d\n", outcome(put(&segment, whole, 0, 0, SIDE, SIDE, 0)));
    completion();
    compare("whole", whole, 1, 0, 0, SIDE, SIDE);
    printf("put %d\n", outcome(put(&segment, part, 5, 9, 20, 30, BYTES)));
    completion();
    compare("part", part, 2, 5, 9, 20, 30);

    get(&segment, whole, 2 * BYTES);
    int wrong = 0;
    for (int at = 0; at < SIDE * SIDE; at++)
        wrong += (segment.pixels[2 * SIDE * SIDE + at] & 0xffffff) != shade(1, at % SIDE, at / SIDE);
    printf("got: %d wrong pixels\n", wrong);
    for (int at = 0; at < SIDE * SIDE; at++)
        wrong += segment.pixels[at] != shade(1, at % SIDE, at / SIDE);
    printf("beside it: %d wrong pixels\n", wrong);

    printf("beyond the end %d\n", outcome(put(&segment, whole, 0, 0, SIDE, SIDE, 2 * BYTES + 4)));
    get(&segment, whole, 3 * BYTES);
    struct segment constant = attached(BYTES, true);
    fill(constant.pixels, SIDE, 3);
    printf("put %d\n", outcome(put(&constant, whole, 0, 0, SIDE, SIDE, 0)));
    completion();
    compare("read-only", whole, 3, 0, 0, SIDE, SIDE);
    get(&constant, whole, 0);

    printf("no such segment %d\n", outcome(xcb_shm_attach_checked(connection, xcb_generate_id(connection), 0x7ffffff0, 0)));
    printf("a name in use %d\n", outcome(xcb_shm_attach_checked(connection, segment.name, constant.number, 0)));
    give_up(&segment);
    printf("detached twice %d\n", outcome(xcb_shm_detach_checked(connection, segment.name)));
    printf("put when detached %d\n", outcome(put(&segment, whole, 0, 0, SIDE, SIDE, 0)));
    give_up(&constant);
}

static void pixmaps(void)
{
    xcb_shm_query_version_reply_t *version = xcb_shm_query_version_reply(connection, xcb_shm_query_version(connection), NULL);
    struct segment segment = attached(BYTES, false);
    printf("version %d.%d\npixmaps %d\n", version->major_version, version->minor_version, version->shared_pixmaps);
    xcb_pixmap_t id = xcb_generate_id(connection);
    printf("made %d\n", outcome(xcb_shm_create_pixmap_checked(connection, id, screen->root, SIDE, SIDE, screen->root_depth, segment.name, 0)));
    free(version);
}

static void resizes(int count)
{
    xcb_pixmap_t to = pixmap();
    for (int at = 0; at < count; at++) {
        struct segment segment = attached(BYTES + (size_t)(at % 100) * 4096, false);
        fill(segment.pixels, SIDE, at & 0xff);
        put(&segment, to, 0, 0, SIDE, SIDE, 0);
        give_up(&segment);
    }
    compare("last", to, (count - 1) & 0xff, 0, 0, SIDE, SIDE);
}

static void sync_with_server(void)
{
    free(xcb_get_input_focus_reply(connection, xcb_get_input_focus(connection), NULL));
}

static void frames(int count, bool shared)
{
    static uint32_t plain[FRAME_SIDE * FRAME_SIDE];
    xcb_pixmap_t to = xcb_generate_id(connection);
    xcb_create_pixmap(connection, screen->root_depth, to, screen->root, FRAME_SIDE, FRAME_SIDE);
    struct segment segment = { 0 };
    if (shared)
        segment = attached(sizeof plain, false);
    uint32_t *pixels = shared ? segment.pixels : plain;
    fill(pixels, FRAME_SIDE, 7);
    sync_with_server();
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int at = 0; at < count; at++) {
        if (shared)
            xcb_shm_put_image(connection, to, gc, FRAME_SIDE, FRAME_SIDE, 0, 0, FRAME_SIDE, FRAME_SIDE, 0, 0, screen->root_depth,
                              XCB_IMAGE_FORMAT_Z_PIXMAP, 0, segment.name, 0);
        else
            xcb_put_image(connection, XCB_IMAGE_FORMAT_Z_PIXMAP, to, gc, FRAME_SIDE, FRAME_SIDE, 0, 0, 0, screen->root_depth,
                          sizeof plain, (uint8_t *)plain);
        /* As a program that draws the next frame into the same memory has to. */
        sync_with_server();
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.1f\n", count / ((double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9));
}

static void hold(void)
{
    struct segment segment = make(BYTES);
    fill(segment.pixels, SIDE, 9);
    printf("%d\n", segment.number);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    int wrong = 0;
    for (int at = 0; at < SIDE * SIDE; at++)
        wrong += segment.pixels[at] != shade(9, at % SIDE, at / SIDE);
    struct shmid_ds status;
    shmctl(segment.number, IPC_STAT, &status);
    shmctl(segment.number, IPC_RMID, NULL);
    printf("%d changed pixels, %lu users\n", wrong, (unsigned long)status.shm_nattch);
}

static void file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ftruncate(fd, 2 * BYTES) != 0)
        fail(path);
    struct segment segment = { .name = xcb_generate_id(connection) };
    segment.pixels = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (segment.pixels == MAP_FAILED)
        fail("mmap");
    unlink(path);
    /* The library closes the descriptor. */
    printf("attach %d\n", outcome(xcb_shm_attach_fd_checked(connection, segment.name, fd, 0)));
    xcb_pixmap_t to = pixmap();
    fill(segment.pixels, SIDE, 4);
    printf("put %d\n", outcome(put(&segment, to, 0, 0, SIDE, SIDE, 0)));
    completion();
    compare("file", to, 4, 0, 0, SIDE, SIDE);
    get(&segment, to, BYTES);
    int wrong = 0;
    for (int at = 0; at < SIDE * SIDE; at++)
        wrong += (segment.pixels[SIDE * SIDE + at] & 0xffffff) != shade(4, at % SIDE, at / SIDE);
    printf("got: %d wrong pixels\nattached\n", wrong);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    printf("detach %d\n", outcome(xcb_shm_detach_checked(connection, segment.name)));
}

static void take(int number)
{
    struct segment segment = { .number = number, .name = xcb_generate_id(connection) };
    xcb_pixmap_t to = pixmap();
    printf("attached %d\n", outcome(xcb_shm_attach_checked(connection, segment.name, number, 0)));
    put(&segment, to, 0, 0, SIDE, SIDE, 0);
    get(&segment, to, 0);
    compare("theirs", to, 9, 0, 0, SIDE, SIDE);
}

int main(int count, char **words)
{
    const char *script = count > 1 ? words[1] : "";
    int number = count > 2 ? atoi(words[2]) : 0;
    connection = xcb_connect(NULL, NULL);
    if (xcb_connection_has_error(connection))
        fail("no connection");
    screen = xcb_setup_roots_iterator(xcb_get_setup(connection)).data;
    gc = xcb_generate_id(connection);
    xcb_create_gc(connection, gc, screen->root, 0, NULL);
    if (strcmp(script, "images") == 0)
        images();
    else if (strcmp(script, "pixmaps") == 0)
        pixmaps();
    else if (strcmp(script, "resizes") == 0)
        resizes(number);
    else if (strcmp(script, "frames") == 0)
        frames(number, true);
    else if (strcmp(script, "images-plain") == 0)
        frames(number, false);
    else if (strcmp(script, "hold") == 0)
        hold();
    else if (strcmp(script, "file") == 0 && count > 2)
        file(words[2]);
    else if (strcmp(script, "take") == 0)
        take(number);
    else
        fail("no such script");
    xcb_disconnect(connection);
    return 0;
}
