/* The other process of the fence tests: the real libxshmfence, told line by line what to do.
 *
 *   alloc S        a new fence in slot S            -> its descriptor's number
 *   map S PATH     the fence in a file in slot S    -> 0
 *   trigger S, await S, reset S, query S            -> what the library returned
 *   serve S T N    N times: await S, reset S, trigger T -> N
 *
 * Each line is answered by one line with a number; -1 is a failure. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <X11/xshmfence.h>

#define SLOTS 512

static struct xshmfence *fences[SLOTS];

static int map(int slot, int fd)
{
    if (fd < 0)
        return -1;
    fences[slot] = xshmfence_map_shm(fd);
    return fences[slot] ? fd : -1;
}

/* A signal ends the library's wait early. */
static int await_all(struct xshmfence *fence)
{
    int result;
    do
        result = xshmfence_await(fence);
    while (result != 0 && errno == EINTR);
    return result;
}

static long serve(int slot, int other, long cycles)
{
    for (long done = 0; done < cycles; done++) {
        if (await_all(fences[slot]) != 0)
            return -1;
        xshmfence_reset(fences[slot]);
        if (xshmfence_trigger(fences[other]) != 0)
            return -1;
    }
    return cycles;
}

static long carry_out(const char *line)
{
    char verb[16], path[200];
    int slot, other, got;
    long cycles;

    got = sscanf(line, "%15s %d %199s", verb, &slot, path);
    if (got < 2 || slot < 0 || slot >= SLOTS)
        return -1;
    if (!strcmp(verb, "alloc"))
        return map(slot, xshmfence_alloc_shm());
    if (!strcmp(verb, "map")) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        int result = map(slot, fd);
        close(fd);
        return result < 0 ? -1 : 0;
    }
    if (!fences[slot])
        return -1;
    if (!strcmp(verb, "trigger"))
        return xshmfence_trigger(fences[slot]);
    if (!strcmp(verb, "await"))
        return await_all(fences[slot]);
    if (!strcmp(verb, "query"))
        return xshmfence_query(fences[slot]);
    if (!strcmp(verb, "reset")) {
        xshmfence_reset(fences[slot]);
        return 0;
    }
    if (sscanf(line, "serve %d %d %ld", &slot, &other, &cycles) == 3 && other >= 0 && other < SLOTS && fences[other])
        return serve(slot, other, cycles);
    return -1;
}

int main(void)
{
    char line[256];

    while (fgets(line, sizeof line, stdin)) {
        printf("%ld\n", carry_out(line));
        fflush(stdout);
    }
    return 0;
}
