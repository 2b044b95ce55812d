/*
 * What the tests of a guest's /dev/shm do with files there, inside the guest and outside.
 *
 *   dev-shm hold PATH SIZE    makes a file, maps it, removes its name, prints "holding", and waits for the end of its input
 *   dev-shm add PATH COUNT    adds 1 to the first word COUNT times, while somebody else does; begins when both are there
 *   dev-shm grow PATH         has a file grow while it is mapped, and shrink; prints what does not hold
 *   dev-shm many FOLDER COUNT maps so many files at once, each with words of its own; prints what does not hold
 *   dev-shm export PATH MODE  prints the name of a file opened by MODE (r, w or rw), or the number of the error
 *   dev-shm dax PATH          prints whether the file's memory is mapped as it is, and not copied
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define MIB (1 << 20)
#define LIMIT_S 300

struct export {
    uint64_t fs;
    uint64_t handle;
};

static void *check(int failed, void *value, const char *what)
{
    if (failed) {
        perror(what);
        exit(1);
    }
    return value;
}

static int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    check(fd < 0, NULL, path);
    return fd;
}

static void *map(int fd, size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return check(at == MAP_FAILED, at, "mmap");
}

static void resize(int fd, off_t size)
{
    check(ftruncate(fd, size) != 0, NULL, "ftruncate");
}

static void expect(int holds, const char *what)
{
    if (!holds)
        printf("does not hold: %s\n", what);
}

static int hold(const char *path, size_t size)
{
    int fd = open_file(path, O_RDWR | O_CREAT | O_EXCL);
    resize(fd, size);
    memset(map(fd, size), 0, size);
    unlink(path);
    puts("holding");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

static int add(const char *path, long count)
{
    volatile uint32_t *words = map(open_file(path, O_RDWR), PAGE);
    /* The second word counts who is there. */
    __atomic_fetch_add(&words[1], 1, __ATOMIC_SEQ_CST);
    for (int tries = 0; __atomic_load_n(&words[1], __ATOMIC_SEQ_CST) < 2; tries++) {
        check(tries > LIMIT_S * 1000, NULL, "nobody else came");
        usleep(1000);
    }
    for (long done = 0; done < count; done++)
        __atomic_fetch_add(&words[0], 1, __ATOMIC_SEQ_CST);
    /* The third word counts who is done. */
    __atomic_fetch_add(&words[2], 1, __ATOMIC_SEQ_CST);
    for (int tries = 0; __atomic_load_n(&words[2], __ATOMIC_SEQ_CST) < 2; tries++) {
        check(tries > LIMIT_S * 1000, NULL, "the other one does not end");
        usleep(1000);
    }
    printf("%u\n", words[0]);
    return 0;
}

static int grow(const char *path)
{
    int fd = open_file(path, O_RDWR | O_CREAT | O_EXCL);
    resize(fd, PAGE);
    char *page = map(fd, PAGE);
    strcpy(page, "first");
    resize(fd, 5 * MIB);
    char *all = map(fd, 5 * MIB);
    expect(strcmp(all, "first") == 0, "the first page stays");
    strcpy(all + 3 * MIB, "third");
    char words[6];
    expect(pread(fd, words, 6, 3 * MIB) == 6 && strcmp(words, "third") == 0, "read finds what was mapped");
    expect(pwrite(fd, "fourth", 7, 4 * MIB) == 7 && strcmp(all + 4 * MIB, "fourth") == 0, "what was written is mapped");
    expect(pwrite(fd, "behind", 7, 5 * MIB) == 7, "write makes it longer");
    struct stat stat;
    expect(fstat(fd, &stat) == 0 && stat.st_size == 5 * MIB + 7, "its size is exact");
    expect(pread(fd, words, 6, 5 * MIB) == 6 && memcmp(words, "behind", 6) == 0, "the end is there");
    resize(fd, 3);
    resize(fd, PAGE);
    expect(memcmp(page, "fir\0\0", 6) == 0, "what was cut off is zero");
    unlink(path);
    strcpy(page, "no name");
    expect(pread(fd, words, 6, 0) == 6 && memcmp(words, "no nam", 6) == 0, "it lives without a name");
    puts("done");
    return 0;
}

static int many(const char *folder, long count)
{
    uint32_t **pages = calloc(count, sizeof *pages);
    for (long number = 0; number < count; number++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%ld", folder, number);
        int fd = open_file(path, O_RDWR | O_CREAT | O_EXCL);
        resize(fd, PAGE);
        pages[number] = map(fd, PAGE);
        pages[number][number % 1024] = number + 1;
        close(fd);
        unlink(path);
    }
    for (int round = 0; round < 2; round++)
        for (long number = 0; number < count; number++)
            expect(pages[number][number % 1024] == (uint32_t)number + 1, "every file has its own words");
    puts("done");
    return 0;
}

static int export(const char *path, const char *mode)
{
    int flags = strcmp(mode, "r") == 0 ? O_RDONLY : strcmp(mode, "w") == 0 ? O_WRONLY : O_RDWR;
    int fd = open_file(path, flags);
    struct export name, again;
    if (ioctl(fd, _IOR('v', 1, struct export), &name) != 0)
        return printf("error %d\n", errno) < 0;
    expect(ioctl(fd, _IOR('v', 1, struct export), &again) == 0 && again.handle == name.handle, "it has one name");
    printf("%llu %llu\n", (unsigned long long)name.fs, (unsigned long long)name.handle);
    return 0;
}

static int dax(const char *path)
{
    struct statx stat;
    check(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &stat) != 0, NULL, path);
    puts(stat.stx_attributes & STATX_ATTR_DAX ? "yes" : "no");
    return 0;
}

int main(int count, char **words)
{
    const char *what = count > 2 ? words[1] : "";
    if (strcmp(what, "hold") == 0 && count == 4)
        return hold(words[2], strtoul(words[3], NULL, 10));
    if (strcmp(what, "add") == 0 && count == 4)
        return add(words[2], atol(words[3]));
    if (strcmp(what, "grow") == 0)
        return grow(words[2]);
    if (strcmp(what, "many") == 0 && count == 4)
        return many(words[2], atol(words[3]));
    if (strcmp(what, "export") == 0 && count == 4)
        return export(words[2], words[3]);
    if (strcmp(what, "dax") == 0)
        return dax(words[2]);
    fputs("see the beginning of dev-shm.c\n", stderr);
    return 2;
}
