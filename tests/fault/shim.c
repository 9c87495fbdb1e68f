/* The wrapped calls.  Invariant: with shim_now all zero every call goes through as it is. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravine/objective.h"

shim shim_now;

static bool fails(int kind)
{
    if ((shim_now.kinds & kind) == 0)
        return false;
    long call = __atomic_add_fetch(&shim_now.calls, 1, __ATOMIC_RELAXED);
    bool now = shim_now.fail_at > 0 && (call == shim_now.fail_at || (shim_now.persistent && call > shim_now.fail_at));
    shim_now.failed |= now;
    if (now && !shim_now.power)
        errno = shim_now.error;
    return now;
}

/* ---- power loss ------------------------------------------------------------------- */

enum { TRACKED = 64 };
static struct {
    char path[PATH_MAX]; /* written and not synced; "" when free */
    off_t synced;        /* bytes that are safe: those of an append-only file */
} dirty[TRACKED];
static struct {
    char folder[PATH_MAX], to[PATH_MAX], from[PATH_MAX], old[PATH_MAX]; /* old: "" when there was none */
} renamed[TRACKED];

static void path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = '\0';
}

static void note_write(int fd)
{
    char path[PATH_MAX];
    path_of(fd, path);
    int at = -1;
    for (int i = 0; i < TRACKED; i++) {
        if (strcmp(dirty[i].path, path) == 0)
            return;
        if (dirty[i].path[0] == '\0' && at < 0)
            at = i;
    }
    struct stat info;
    fstat(fd, &info);
    strcpy(dirty[at].path, path);
    dirty[at].synced = info.st_size;
}

static void note_sync(const char *path)
{
    for (int i = 0; i < TRACKED; i++) {
        if (strcmp(dirty[i].path, path) == 0)
            dirty[i].path[0] = '\0';
        if (renamed[i].to[0] != '\0' && strcmp(renamed[i].folder, path) == 0) {
            if (renamed[i].old[0] != '\0')
                unlink(renamed[i].old);
            renamed[i].to[0] = '\0';
        }
    }
}

static void note_rename(const char *from, const char *to)
{
    int at = 0;
    while (renamed[at].to[0] != '\0')
        at++;
    strcpy(renamed[at].to, to);
    strcpy(renamed[at].from, from);
    snprintf(renamed[at].folder, PATH_MAX, "%.*s", (int)(strrchr(to, '/') - to), to);
    snprintf(renamed[at].old, PATH_MAX, "%s.old", to);
    unlink(renamed[at].old);
    if (link(to, renamed[at].old) != 0)
        renamed[at].old[0] = '\0';
    for (int i = 0; i < TRACKED; i++) /* unsynced bytes stay so under the new name */
        if (strcmp(dirty[i].path, from) == 0)
            strcpy(dirty[i].path, to);
}

int __real_rename(const char *from, const char *to);

static unsigned draw(unsigned n)
{
    shim_now.chance = shim_now.chance * 1103515245u + 12345u;
    return (shim_now.chance >> 16) % n;
}

/* Bytes beyond the last sync are kept, cut off or zeroed; renames may not have happened. */
static void lose_power(void)
{
    for (int i = 0; i < TRACKED; i++) {
        struct stat info;
        if (dirty[i].path[0] == '\0' || stat(dirty[i].path, &info) != 0)
            continue;
        off_t safe = dirty[i].synced < info.st_size ? dirty[i].synced : info.st_size;
        off_t kept = safe + (off_t)draw((unsigned)(info.st_size - safe) + 1);
        switch (draw(3)) {
        case 0: break;
        case 1: (void)!truncate(dirty[i].path, kept); break;
        default:
            (void)!truncate(dirty[i].path, kept);
            (void)!truncate(dirty[i].path, info.st_size);
        }
    }
    for (int i = TRACKED; i-- > 0;) {
        if (renamed[i].to[0] == '\0')
            continue;
        if (draw(2) == 0) {
            __real_rename(renamed[i].to, renamed[i].from);
            if (renamed[i].old[0] != '\0')
                __real_rename(renamed[i].old, renamed[i].to);
        } else if (renamed[i].old[0] != '\0') {
            unlink(renamed[i].old);
        }
    }
    _exit(9);
}

static bool fails_or_dies(int kind)
{
    bool now = fails(kind);
    if (now && shim_now.power)
        lose_power();
    return now;
}

/* ---- the calls ----------------------------------------------------------------------- */

#define MEMORY(type, name, parameters, arguments)                             \
    type __real_##name parameters;                                            \
    type __wrap_##name parameters;                                            \
    type __wrap_##name parameters                                             \
    {                                                                         \
        return fails(SHIM_MALLOC) ? NULL : __real_##name arguments;           \
    }
MEMORY(void *, malloc, (size_t n), (n))
MEMORY(void *, calloc, (size_t n, size_t size), (n, size))
MEMORY(void *, realloc, (void *p, size_t n), (p, n))
MEMORY(void *, aligned_alloc, (size_t align, size_t n), (align, n))
MEMORY(char *, strdup, (const char *s), (s))
MEMORY(char *, strndup, (const char *s, size_t n), (s, n))

void *__real_mmap(void *at, size_t n, int protect, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protect, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protect, int flags, int fd, off_t offset)
{
    return fails(SHIM_MALLOC) ? (void *)-1 : __real_mmap(at, n, protect, flags, fd, offset);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails_or_dies(SHIM_OPEN) ? -1 : __real_open(path, flags, mode);
}

ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
    static int turn;
    if (fails_or_dies(SHIM_WRITE))
        return -1;
    if (shim_now.shorten && ++turn % 2) {
        errno = EINTR;
        return -1;
    }
    if (shim_now.power)
        note_write(fd);
    return __real_write(fd, bytes, shim_now.shorten && n > 7 ? 7 : n);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    static int turn;
    if (fails_or_dies(SHIM_FSYNC))
        return -1;
    if (shim_now.shorten && ++turn % 2) {
        errno = EINTR;
        return -1;
    }
    if (!shim_now.power)
        return __real_fsync(fd);
    char path[PATH_MAX];
    path_of(fd, path);
    if (!shim_now.lying)
        note_sync(path);
    const char *name = strrchr(path, '/');
    if (shim_now.report > 0 && name != NULL && strcmp(name, "/checkpoint") == 0)
        (void)!__real_write(shim_now.report, "c", 1);
    return 0;
}

int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    if (fails_or_dies(SHIM_RENAME))
        return -1;
    if (shim_now.power)
        note_rename(from, to);
    return __real_rename(from, to);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    bool now = fails_or_dies(SHIM_CLOSE);
    int error = errno, code = __real_close(fd); /* as Linux does: closed in any case */
    if (now)
        errno = error;
    return now ? -1 : code;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    return fails_or_dies(SHIM_MKDIR) ? -1 : __real_mkdir(path, mode);
}

/* A gradient of a step begins: asks for the stop that is due, and tells its number. */
static long count_gradient(void)
{
    const long call = ++shim_now.gradients;
    if (shim_now.stop != NULL && call == shim_now.stop_at)
        *shim_now.stop = 1;
    return call;
}

rv_status __real_rv_objective_value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g, double *loss,
                                         rv_error *err);
rv_status __wrap_rv_objective_value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g, double *loss,
                                         rv_error *err);
rv_status __wrap_rv_objective_value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g, double *loss,
                                         rv_error *err)
{
    const long call = count_gradient();
    rv_status status = __real_rv_objective_value_grad(objective, w, batch, g, loss, err);
    if (call == shim_now.poison_at && shim_now.poison_loss)
        *loss = INFINITY;
    else if (call == shim_now.poison_at && objective->dtype == RV_F32)
        ((float *)g)[0] = NAN;
    else if (call == shim_now.poison_at)
        ((double *)g)[0] = NAN;
    return status;
}

/* The step's own pass where it also leaves factors; passes for factors alone are none. */
rv_status __real_rv_objective_factors(rv_objective *objective, const void *w, rv_batch batch, bool sampled, void *g,
                                      double *loss, void *factors, rv_error *err);
rv_status __wrap_rv_objective_factors(rv_objective *objective, const void *w, rv_batch batch, bool sampled, void *g,
                                      double *loss, void *factors, rv_error *err);
rv_status __wrap_rv_objective_factors(rv_objective *objective, const void *w, rv_batch batch, bool sampled, void *g,
                                      double *loss, void *factors, rv_error *err)
{
    if (g != NULL)
        (void)count_gradient();
    return __real_rv_objective_factors(objective, w, batch, sampled, g, loss, factors, err);
}
