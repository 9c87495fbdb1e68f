/* Atomic and appending writes.  Invariant: a reader of the path sees the old file or the
 * whole new one, whatever fails on the way; a log holds whole lines only. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/file.h"

static sigset_t size_limit(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    return set;
}

void rv_size_limit_hold(sigset_t *before)
{
    sigset_t limit = size_limit();
    pthread_sigmask(SIG_BLOCK, &limit, before);
}

void rv_size_limit_release(const sigset_t *before)
{
    sigset_t limit = size_limit();
    if (!sigismember(before, SIGXFSZ)) /* one that came meanwhile is consumed, not delivered */
        (void)sigtimedwait(&limit, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* write(2) until all is written. */
static bool write_all(int fd, const char *bytes, size_t n)
{
    sigset_t before;
    int code = 0;
    rv_size_limit_hold(&before);
    while (n > 0 && code == 0) {
        ssize_t done = write(fd, bytes, n);
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        } else if (done == 0 || errno != EINTR) {
            code = done == 0 ? ENOSPC : errno;
        }
    }
    rv_size_limit_release(&before);
    errno = code;
    return code == 0;
}

static bool sync_fd(int fd)
{
    int code;
    do
        code = fsync(fd);
    while (code != 0 && errno == EINTR);
    return code == 0;
}

/* The folder a path lies in; caller frees. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* ---- whole files ------------------------------------------------------------ */

struct rv_writer {
    int fd;
    char *path, *temp;
    bool failed;
};

static void writer_free(rv_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    free(writer->path);
    free(writer->temp);
    free(writer);
}

static rv_status open_temp(rv_writer *writer, rv_error *err)
{
    enum { TRIES = 100 };
    for (int i = 0; i < TRIES; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        free(writer->temp);
        if (asprintf(&writer->temp, "%s.%lx-%lx.tmp", writer->path, (long)getpid(),
                     (long)now.tv_nsec + i) < 0) {
            writer->temp = NULL;
            return rv_fail(err, RV_E_MEMORY, "%s: no memory to write it", writer->path);
        }
        writer->fd = open(writer->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->fd >= 0)
            return RV_OK;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return rv_fail(err, RV_E_IO, "%s: cannot be written: %s", writer->path, strerror(errno));
}

rv_status rv_writer_open(rv_writer **out, const char *path, rv_error *err)
{
    *out = NULL;
    rv_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory to write it", path);
    writer->fd = -1;
    writer->path = strdup(path);
    rv_status status = writer->path == NULL ? rv_fail(err, RV_E_MEMORY, "%s: no memory to write it", path)
                                            : open_temp(writer, err);
    if (status != RV_OK) {
        writer_free(writer);
        return status;
    }
    *out = writer;
    return RV_OK;
}

rv_status rv_writer_put(rv_writer *writer, const void *bytes, size_t n, rv_error *err)
{
    if (!writer->failed && write_all(writer->fd, bytes, n))
        return RV_OK;
    const char *why = writer->failed ? "an earlier write failed" : strerror(errno);
    writer->failed = true;
    return rv_fail(err, RV_E_IO, "%s: write: %s", writer->path, why);
}

static rv_status finish(rv_writer *writer, rv_error *err)
{
    const char *path = writer->path;
    if (writer->failed)
        return rv_fail(err, RV_E_IO, "%s: an earlier write failed", path);
    /* A failed fsync is final: the kernel may have dropped the pages and a second call lie. */
    if (!sync_fd(writer->fd))
        return rv_fail(err, RV_E_IO, "%s: fsync: %s", path, strerror(errno));
    int code = close(writer->fd);
    writer->fd = -1;
    if (code != 0 && errno != EINTR)
        return rv_fail(err, RV_E_IO, "%s: close: %s", path, strerror(errno));
    if (rename(writer->temp, path) != 0)
        return rv_fail(err, RV_E_IO, "%s: rename: %s", path, strerror(errno));
    free(writer->temp);
    writer->temp = NULL; /* it is the file now */
    char *folder = parent_of(path);
    if (folder == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory to write it", path);
    rv_status status = rv_folder_sync(folder, err);
    free(folder);
    return status;
}

rv_status rv_writer_commit(rv_writer *writer, rv_error *err)
{
    rv_status status = finish(writer, err);
    rv_writer_abandon(writer);
    return status;
}

void rv_writer_abandon(rv_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->temp != NULL)
        unlink(writer->temp);
    writer_free(writer);
}

rv_status rv_file_write(const char *path, const void *bytes, size_t n, rv_error *err)
{
    rv_writer *writer = NULL;
    RV_TRY(rv_writer_open(&writer, path, err));
    rv_status status = rv_writer_put(writer, bytes, n, err);
    if (status == RV_OK)
        return rv_writer_commit(writer, err);
    rv_writer_abandon(writer);
    return status;
}

/* ---- logs -------------------------------------------------------------------- */

struct rv_log {
    int fd;
    char *path;
    off_t size; /* of the whole lines */
};

/* The size of the file up to and with its last newline. */
static bool whole_lines(int fd, off_t size, off_t *whole)
{
    char block[4096];
    for (off_t end = size; end > 0;) {
        off_t start = end > (off_t)sizeof block ? end - (off_t)sizeof block : 0;
        ssize_t n = pread(fd, block, (size_t)(end - start), start);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)(end - start))
            return false;
        const char *newline = memrchr(block, '\n', (size_t)n);
        if (newline != NULL) {
            *whole = start + (newline - block) + 1;
            return true;
        }
        end = start;
    }
    *whole = 0;
    return true;
}

static rv_status open_log(rv_log *log, rv_error *err)
{
    /* O_NONBLOCK: a pipe in the place of the log is refused below and not waited for. */
    log->fd = open(log->path, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat info;
    if (log->fd < 0 || fstat(log->fd, &info) != 0)
        return rv_fail(err, RV_E_IO, "%s: %s", log->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return rv_fail(err, RV_E_IO, "%s: expected a file", log->path);
    if (!whole_lines(log->fd, info.st_size, &log->size))
        return rv_fail(err, RV_E_IO, "%s: read: %s", log->path, strerror(errno));
    if (log->size < info.st_size && ftruncate(log->fd, log->size) != 0)
        return rv_fail(err, RV_E_IO, "%s: truncate: %s", log->path, strerror(errno));
    return RV_OK;
}

rv_status rv_log_open(rv_log **out, const char *path, rv_error *err)
{
    *out = NULL;
    rv_log *log = calloc(1, sizeof *log);
    char *copy = strdup(path);
    if (log == NULL || copy == NULL) {
        free(log);
        free(copy);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory to append to it", path);
    }
    *log = (rv_log){.fd = -1, .path = copy};
    rv_status status = open_log(log, err);
    if (status == RV_OK)
        *out = log;
    else
        (void)rv_log_close(log, NULL);
    return status;
}

rv_status rv_log_line(rv_log *log, const char *line, rv_error *err)
{
    size_t n = strlen(line);
    assert(strchr(line, '\n') == NULL);
    char *whole = malloc(n + 2);
    if (whole == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for a line of %zu bytes", log->path, n);
    memcpy(whole, line, n);
    memcpy(whole + n, "\n", 2);
    bool written = write_all(log->fd, whole, n + 1);
    free(whole);
    if (!written) {
        int code = errno;
        /* The next line must not continue half of this one. */
        (void)!ftruncate(log->fd, log->size);
        return rv_fail(err, RV_E_IO, "%s: write: %s", log->path, strerror(code));
    }
    log->size += (off_t)n + 1;
    return RV_OK;
}

rv_status rv_log_sync(rv_log *log, rv_error *err)
{
    if (!sync_fd(log->fd))
        return rv_fail(err, RV_E_IO, "%s: fsync: %s", log->path, strerror(errno));
    return RV_OK;
}

rv_status rv_log_close(rv_log *log, rv_error *err)
{
    if (log == NULL)
        return RV_OK;
    rv_status status = RV_OK;
    if (log->fd >= 0 && close(log->fd) != 0 && errno != EINTR)
        status = rv_fail(err, RV_E_IO, "%s: close: %s", log->path, strerror(errno));
    free(log->path);
    free(log);
    return status;
}

/* ---- folders ------------------------------------------------------------------- */

rv_status rv_folder_sync(const char *path, rv_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return rv_fail(err, RV_E_IO, "%s: %s", path, strerror(errno));
    rv_status status = RV_OK;
    if (!sync_fd(fd) && errno != EINVAL && errno != ENOTSUP) /* some file systems sync no folders */
        status = rv_fail(err, RV_E_IO, "%s: fsync: %s", path, strerror(errno));
    close(fd);
    return status;
}

/* Makes one folder; fine when it is there. */
static rv_status make_one(const char *path, rv_error *err)
{
    if (mkdir(path, 0777) == 0) {
        char *folder = parent_of(path);
        rv_status status = folder == NULL ? rv_fail(err, RV_E_MEMORY, "%s: no memory to make it", path)
                                          : rv_folder_sync(folder, err);
        free(folder);
        return status;
    }
    int code = errno;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return RV_OK;
    if (code == EEXIST)
        return rv_fail(err, RV_E_IO, "%s: expected a folder, found a file", path);
    return rv_fail(err, RV_E_IO, "%s: cannot make this folder: %s", path, strerror(code));
}

rv_status rv_folder_make(const char *path, rv_error *err)
{
    if (path[0] == '\0')
        return rv_fail(err, RV_E_ARGUMENT, "expected a folder, found an empty name");
    char *part = strdup(path);
    if (part == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory to make it", path);
    rv_status status = RV_OK;
    for (char *at = part; *at != '\0' && status == RV_OK;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char end = *at;
        *at = '\0';
        if (part[strspn(part, "/")] != '\0')
            status = make_one(part, err);
        *at = end;
    }
    free(part);
    if (status == RV_OK && faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0)
        status = rv_fail(err, RV_E_IO, "%s: nothing can be written in this folder: %s", path, strerror(errno));
    return status;
}
