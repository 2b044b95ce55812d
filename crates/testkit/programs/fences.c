/*
 * A client of DRI3's fences by the real libxshmfence, as Mesa uses them: it resets its idle fence, presents with it, and sleeps
 * on it until the server has triggered it.
 *
 *   fences present N     N cycles of Present with an idle fence; prints "cycles N"
 *   fences trigger N     the same with SYNC's TriggerFence
 *   fences signals N     as present, with a signal every quarter of a millisecond
 *   fences alone N       N triggers and resets that nobody waits for; prints "ready" and waits for a line before them
 *   fences many N        N fences at once, each triggered by SYNC and waited for, three times
 *   fences measure N     medians of N in microseconds, as JSON: a reply, and the same way up with the trigger of a fence back; one in
 *                        memory of this kernel, and one in the folder
 *   fences call N        N triggers of the client's own, each of which "answer" has to reset
 *   fences answer N FILE the other side of that, in a process that has the same file and no display: it sleeps on the fence, and resets it
 *
 * With a folder behind N the fence lies there, in a file as the library makes it by XSHMFENCE_NO_MEMFD, which only its version
 * 1.3.3 knows. A thread looks whether the word is ever another than a fence's.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <X11/xshmfence.h>
#include <xcb/xcb.h>
#include <xcb/xcbext.h>

#define SIDE 16
#define FENCE_FROM_FD 4
#define PRESENT_PIXMAP 1
#define PRESENT_OPTION_ASYNC 1
#define TRIGGER_FENCE 15

static xcb_extension_t dri3 = { "DRI3", 0 };
static xcb_extension_t present = { "Present", 0 };
static xcb_extension_t sync_ = { "SYNC", 0 };

static xcb_connection_t *connection;
static volatile sig_atomic_t signals;

static void fail(const char *what)
{
    fprintf(stderr, "fences: %s\n", what);
    exit(1);
}

static void count(int number)
{
    signals += number == SIGALRM;
}

/* No SA_RESTART: the sleep on a fence ends early, as in programs full of signals. */
static void start_signals(void)
{
    struct sigaction action = { .sa_handler = count };
    struct itimerval every = { { 0, 250 }, { 0, 250 } };
    if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0)
        fail("no timer");
}

static void send_request(xcb_extension_t *extension, uint8_t minor, uint32_t *words, int bytes, int *fds, int fds_count)
{
    struct iovec parts[4];
    xcb_protocol_request_t request = { 2, extension, minor, 1 };

    if (!xcb_get_extension_data(connection, extension)->present)
        fail("the server lacks an extension");
    parts[2].iov_base = words;
    parts[2].iov_len = bytes;
    parts[3].iov_base = NULL;
    parts[3].iov_len = -bytes & 3;
    if (fds_count == 0)
        xcb_send_request(connection, 0, parts + 2, &request);
    else
        xcb_send_request_with_fds(connection, 0, parts + 2, &request, fds_count, fds);
}

static void await(struct xshmfence *fence)
{
    while (xshmfence_await(fence) != 0)
        if (errno != EINTR)
            fail("the fence can't be waited for");
    if (xshmfence_query(fence) != 1)
        fail("awake, and not triggered");
}

/* Looks at the word past the library. */
static void *check(void *fence)
{
    for (;;) {
        int32_t value = __atomic_load_n((int32_t *)fence, __ATOMIC_ACQUIRE);
        if (value < -1 || value > 1) {
            fprintf(stderr, "fences: the word is %d\n", value);
            exit(1);
        }
        usleep(100);
    }
    return NULL;
}

static void start_checker(struct xshmfence *fence)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, check, fence) != 0)
        fail("no thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void alone(struct xshmfence *fence, long cycles)
{
    puts("ready");
    fflush(stdout);
    getchar();
    for (long cycle = 0; cycle < cycles; cycle++) {
        xshmfence_trigger(fence);
        xshmfence_reset(fence);
    }
    printf("cycles %ld\n", cycles);
    fflush(stdout);
    getchar();
}

/* As xshmfence_alloc_shm does it: without a name, and only as long as the word. */
static int alloc_in(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0666);
    if (fd >= 0 && ftruncate(fd, sizeof(int32_t)) != 0)
        fail("the file of the fence can't be made longer");
    return fd;
}

static struct xshmfence *map(int fd)
{
    struct xshmfence *fence = fd < 0 ? NULL : xshmfence_map_shm(fd);
    if (fence == NULL)
        fail("no fence");
    return fence;
}

/* Both ways: the trigger wakes the other side, and the reset is seen here. */
static void call(struct xshmfence *fence, long cycles)
{
    for (long cycle = 0; cycle < cycles; cycle++) {
        xshmfence_trigger(fence);
        while (xshmfence_query(fence) == 1)
            usleep(50);
    }
}

static void answer(struct xshmfence *fence, long cycles)
{
    start_checker(fence);
    for (long cycle = 0; cycle < cycles; cycle++) {
        await(fence);
        xshmfence_reset(fence);
    }
}

/* Events are of no interest, but must not pile up; an error is one of ours. */
static void drain(void)
{
    xcb_generic_event_t *event;
    while ((event = xcb_poll_for_event(connection)) != NULL) {
        if (event->response_type == 0) {
            fprintf(stderr, "fences: error %d of %d.%d\n", ((xcb_generic_error_t *)event)->error_code,
                    ((xcb_generic_error_t *)event)->major_code, ((xcb_generic_error_t *)event)->minor_code);
            exit(1);
        }
        free(event);
    }
    if (xcb_connection_has_error(connection))
        fail("the connection is lost");
}

static uint32_t share(uint32_t window, int fd)
{
    uint32_t name = xcb_generate_id(connection);
    uint32_t words[4] = { 0, window, name, 0 };
    send_request(&dri3, FENCE_FROM_FD, words, sizeof(words), &fd, 1);
    return name;
}

static void trigger_by_server(struct xshmfence *fence, uint32_t name)
{
    uint32_t words[2] = { 0, name };
    xshmfence_reset(fence);
    send_request(&sync_, TRIGGER_FENCE, words, sizeof(words), NULL, 0);
    if (xcb_flush(connection) <= 0)
        fail("the connection is lost");
    await(fence);
    drain();
}

static int alloc(const char *folder)
{
    return folder != NULL ? alloc_in(folder) : xshmfence_alloc_shm();
}

static void many(uint32_t window, const char *folder, long count)
{
    struct xshmfence **fences = calloc(count, sizeof(*fences));
    uint32_t *names = calloc(count, sizeof(*names));

    for (long i = 0; i < count; i++) {
        int fd = alloc(folder);
        fences[i] = map(fd);
        names[i] = share(window, fd);
    }
    for (int round = 0; round < 3; round++)
        for (long i = 0; i < count; i++)
            trigger_by_server(fences[i], names[i]);
}

static void present_and_await(xcb_window_t window, xcb_pixmap_t pixmap, struct xshmfence *fence, uint32_t name, uint32_t cycle)
{
    uint32_t words[18] = { 0, window, pixmap, cycle, 0, 0, 0, 0, 0, name, PRESENT_OPTION_ASYNC };
    xshmfence_reset(fence);
    send_request(&present, PRESENT_PIXMAP, words, sizeof(words), NULL, 0);
    if (xcb_flush(connection) <= 0)
        fail("the connection is lost");
    await(fence);
    drain();
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

/* In turns, so that what else the machine does meets all alike. */
static void measure(uint32_t window, const char *folder, long cycles)
{
    int fds[2] = { xshmfence_alloc_shm(), alloc_in(folder) };
    struct xshmfence *fences[2] = { map(fds[0]), map(fds[1]) };
    uint32_t names[2] = { share(window, fds[0]), share(window, fds[1]) };
    double *times[3];

    for (int kind = 0; kind < 3; kind++)
        times[kind] = calloc(cycles, sizeof(double));
    for (long cycle = 0; cycle < cycles; cycle++) {
        double start = now();
        free(xcb_get_input_focus_reply(connection, xcb_get_input_focus(connection), NULL));
        times[2][cycle] = now() - start;
        for (int kind = 0; kind < 2; kind++) {
            start = now();
            trigger_by_server(fences[kind], names[kind]);
            times[kind][cycle] = now() - start;
        }
    }
    for (int kind = 0; kind < 3; kind++)
        qsort(times[kind], cycles, sizeof(double), compare);
    printf("{\"reply\":%.1f,\"relay\":%.1f,\"shared\":%.1f}\n", times[2][cycles / 2], times[0][cycles / 2], times[1][cycles / 2]);
}

int main(int argc, char **argv)
{
    xcb_screen_t *screen;
    xcb_window_t window;
    xcb_pixmap_t pixmap;
    struct xshmfence *fence;
    uint32_t name, values[] = { 1 };
    const char *mode = argv[1], *folder = argc == 4 ? argv[3] : NULL;
    long cycles;
    int fd;

    if (argc != 3 && argc != 4)
        fail("present|trigger|signals|alone|many|measure|call|answer N [FOLDER]");
    cycles = atol(argv[2]);
    if (!strcmp(mode, "answer")) {
        answer(map(open(folder, O_RDWR | O_CLOEXEC)), cycles);
        printf("cycles %ld\n", cycles);
        return 0;
    }
    connection = xcb_connect(NULL, NULL);
    if (xcb_connection_has_error(connection))
        fail("no display");
    screen = xcb_setup_roots_iterator(xcb_get_setup(connection)).data;
    window = xcb_generate_id(connection);
    xcb_create_window(connection, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, SIDE, SIDE, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual, XCB_CW_OVERRIDE_REDIRECT, values);
    xcb_map_window(connection, window);
    pixmap = xcb_generate_id(connection);
    xcb_create_pixmap(connection, screen->root_depth, pixmap, window, SIDE, SIDE);

    if (!strcmp(mode, "many")) {
        many(window, folder, cycles);
        printf("cycles %ld\n", cycles);
        return 0;
    }
    if (!strcmp(mode, "measure")) {
        measure(window, folder, cycles);
        return 0;
    }
    fd = alloc(folder);
    fence = map(fd);
    name = share(window, fd);
    /* Who waits for a fence that was refused does so for ever. */
    free(xcb_get_input_focus_reply(connection, xcb_get_input_focus(connection), NULL));
    drain();
    if (!strcmp(mode, "alone")) {
        alone(fence, cycles);
        return 0;
    }
    start_checker(fence);
    if (!strcmp(mode, "signals"))
        start_signals();
    if (!strcmp(mode, "call")) {
        xcb_flush(connection);
        call(fence, cycles);
    } else {
        for (long cycle = 0; cycle < cycles; cycle++) {
            if (!strcmp(mode, "trigger"))
                trigger_by_server(fence, name);
            else
                present_and_await(window, pixmap, fence, name, (uint32_t)cycle);
        }
    }
    printf("cycles %ld\n", cycles);
    xcb_disconnect(connection);
    return 0;
}
