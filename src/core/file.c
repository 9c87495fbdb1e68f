/* Checked reading.  Invariants: only regular files are read, nothing larger than the
 * caller's limit is held, and the cursor never passes the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/file.h"

bool rv_size_mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

bool rv_size_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

static rv_status read_all(rv_reader *reader, int fd, size_t size, rv_error *err)
{
    reader->data = malloc(size > 0 ? size : 1);
    if (reader->data == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu bytes", reader->path, size);
    while (reader->size < size) {
        ssize_t n = read(fd, reader->data + reader->size, size - reader->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rv_fail(err, RV_E_IO, "%s: read at offset %zu: %s", reader->path, reader->size, strerror(errno));
        if (n == 0)
            return rv_fail(err, RV_E_FORMAT, "%s: ends at offset %zu, expected %zu bytes: it shrank while it was read",
                           reader->path, reader->size, size);
        reader->size += (size_t)n;
    }
    return RV_OK;
}

rv_status rv_reader_open_plain(rv_reader *reader, const char *path, size_t limit, rv_error *err)
{
    memset(reader, 0, sizeof *reader);
    strncpy(reader->path, path, sizeof reader->path - 1);
    /* Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return rv_fail(err, RV_E_IO, "%s: %s", path, strerror(errno));
    struct stat info;
    rv_status status = RV_OK;
    if (fstat(fd, &info) != 0)
        status = rv_fail(err, RV_E_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = rv_fail(err, RV_E_IO, "%s: expected a file, found %s", path, kind_of(info.st_mode));
    else if ((uint64_t)info.st_size > limit)
        status = rv_fail(err, RV_E_RANGE, "%s: %lld bytes, expected at most %zu", path, (long long)info.st_size, limit);
    else
        status = read_all(reader, fd, (size_t)info.st_size, err);
    close(fd);
    if (status != RV_OK)
        rv_reader_close(reader);
    return status;
}

/* ---- gzip ------------------------------------------------------------------ */

/* Makes room for at least one more byte of output, never more than limit + 1 in all. */
static bool grow(unsigned char **data, size_t *capacity, size_t limit)
{
    size_t most = limit < SIZE_MAX ? limit + 1 : limit;
    size_t wanted = *capacity < most / 2 ? *capacity * 2 : most;
    unsigned char *grown = realloc(*data, wanted);
    if (grown == NULL)
        return false;
    *data = grown;
    *capacity = wanted;
    return true;
}

/* Inflates all of reader's bytes; *out [*size] is owned by the caller on any return. */
static rv_status inflate_all(const rv_reader *reader, z_stream *z, size_t limit, unsigned char **out, size_t *size,
                             rv_error *err)
{
    size_t capacity = 0, in = 0;
    *size = 0;
    for (int code = Z_OK; code != Z_STREAM_END;) {
        if (*size == capacity) {
            if (capacity == 0)
                capacity = 32768; /* doubled before use */
            if (!grow(out, &capacity, limit))
                return rv_fail(err, RV_E_MEMORY, "%s: no memory to inflate beyond %zu bytes", reader->path, *size);
        }
        const size_t chunk = (size_t)1 << 30;
        size_t room = capacity - *size, left = reader->size - in;
        z->next_in = reader->data + in;
        z->avail_in = (uInt)(left < chunk ? left : chunk);
        z->next_out = *out + *size;
        z->avail_out = (uInt)(room < chunk ? room : chunk);
        code = inflate(z, Z_NO_FLUSH);
        in = (size_t)(z->next_in - reader->data);
        *size = (size_t)(z->next_out - *out);
        if (*size > limit)
            return rv_fail(err, RV_E_RANGE, "%s: inflates to more than %zu bytes", reader->path, limit);
        if (code == Z_MEM_ERROR)
            return rv_fail(err, RV_E_MEMORY, "%s: no memory to inflate", reader->path);
        if ((code != Z_OK && code != Z_STREAM_END) || (code == Z_OK && in == reader->size && *size < capacity))
            return rv_fail(err, RV_E_FORMAT, "%s: bad gzip data at offset %zu: %s", reader->path, in,
                           z->msg != NULL ? z->msg : "the file ends too early");
    }
    if (in != reader->size)
        return rv_fail(err, RV_E_FORMAT, "%s: expected the end of the file at offset %zu, found %zu bytes more",
                       reader->path, in, reader->size - in);
    return RV_OK;
}

static rv_status gunzip(rv_reader *reader, size_t limit, rv_error *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK) /* 16: gzip only, with its CRC and length checked */
        return rv_fail(err, RV_E_MEMORY, "%s: no memory to inflate", reader->path);
    unsigned char *out = NULL;
    size_t size = 0;
    rv_status status = inflate_all(reader, &z, limit, &out, &size, err);
    inflateEnd(&z);
    free(reader->data);
    reader->data = out;
    reader->size = size;
    return status;
}

rv_status rv_reader_open(rv_reader *reader, const char *path, size_t limit, rv_error *err)
{
    RV_TRY(rv_reader_open_plain(reader, path, limit, err));
    if (reader->size < 2 || reader->data[0] != 0x1f || reader->data[1] != 0x8b)
        return RV_OK;
    rv_status status = gunzip(reader, limit, err);
    if (status != RV_OK)
        rv_reader_close(reader);
    return status;
}

void rv_reader_close(rv_reader *reader)
{
    free(reader->data);
    reader->data = NULL;
    reader->size = reader->at = 0;
}

rv_status rv_reader_take(rv_reader *reader, size_t n, const unsigned char **bytes, rv_error *err)
{
    if (n > reader->size - reader->at)
        return rv_fail(err, RV_E_FORMAT, "%s: at offset %zu: expected %zu bytes more, found %zu", reader->path,
                       reader->at, n, reader->size - reader->at);
    *bytes = reader->data + reader->at;
    reader->at += n;
    return RV_OK;
}

rv_status rv_reader_be32(rv_reader *reader, uint32_t *value, rv_error *err)
{
    const unsigned char *b = NULL;
    RV_TRY(rv_reader_take(reader, 4, &b, err));
    *value = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
    return RV_OK;
}

rv_status rv_reader_le64(rv_reader *reader, uint64_t *value, rv_error *err)
{
    const unsigned char *b = NULL;
    RV_TRY(rv_reader_take(reader, 8, &b, err));
    *value = 0;
    for (int i = 7; i >= 0; i--)
        *value = *value << 8 | b[i];
    return RV_OK;
}
