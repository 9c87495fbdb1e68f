/* npz: a zip of npy files.  Written stored; read stored or deflated.  Invariant: members
 * lie one after the other, cover the archive exactly, and their CRC is right.
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.4 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tensor/array.h"
#include "tensor/npy.h"

enum {
    LOCAL_SIGNATURE = 0x04034b50, CENTRAL_SIGNATURE = 0x02014b50, END_SIGNATURE = 0x06054b50,
    LOCAL_SIZE = 30, CENTRAL_SIZE = 46, END_SIZE = 22,
    FLAG_UTF8 = 1 << 11, STORED = 0, DEFLATED = 8, VERSION = 20,
    DOS_DATE = 33 /* 1 January 1980: equal arrays give equal files */
};
static const size_t zip_limit = 0xfffffffe; /* beyond it zip64 would be needed */

static uint32_t le(const unsigned char *b, int n)
{
    uint32_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | b[i];
    return value;
}

static void put_le(rv_text *out, uint64_t value, int n)
{
    for (; n > 0; n--, value >>= 8)
        rv_text_put(out, (const char[]){(char)(unsigned char)value}, 1);
}

static uint32_t crc_of(uint32_t crc, const void *bytes, size_t n)
{
    return (uint32_t)crc32_z(crc, bytes, n);
}

/* ---- writing ----------------------------------------------------------------- */

/* The fields that local and central headers share, from "version needed" on. */
static void put_common(rv_text *out, uint32_t crc, size_t size, size_t name)
{
    put_le(out, VERSION, 2);
    put_le(out, FLAG_UTF8, 2);
    put_le(out, STORED, 2);
    put_le(out, 0, 2);
    put_le(out, DOS_DATE, 2);
    put_le(out, crc, 4);
    put_le(out, size, 4);
    put_le(out, size, 4);
    put_le(out, name, 2);
    put_le(out, 0, 2);
}

/* bf16 widened to f32; caller frees. */
static float *widen(const rv_array *array, size_t count)
{
    float *wide = malloc(count > 0 ? count * sizeof *wide : 1);
    for (size_t i = 0; wide != NULL && i < count; i++) {
        uint32_t bits = (uint32_t)((const uint16_t *)array->data)[i] << 16;
        memcpy(&wide[i], &bits, sizeof bits);
    }
    return wide;
}

typedef struct archive {
    rv_writer *writer;
    rv_text central;
    size_t at;
} archive;

static rv_status put_bytes(archive *zip, const void *bytes, size_t n, rv_error *err)
{
    zip->at += n;
    return rv_writer_put(zip->writer, bytes, n, err);
}

static rv_status put_member(archive *zip, const rv_array *array, const void *data, size_t bytes, const char *path,
                            rv_error *err)
{
    rv_text npy = {0}, local = {0};
    rv_npy_header(array, &npy);
    size_t size = npy.size + bytes, name = strlen(array->name) + 4, start = zip->at;
    if (size > zip_limit || zip->at > zip_limit - size) {
        rv_text_release(&npy);
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: \"%s\" would pass the 4 GiB of a zip file", path, array->name);
    }
    uint32_t crc = crc_of(npy.failed ? 0 : crc_of(0, npy.data, npy.size), data, bytes);
    put_le(&local, LOCAL_SIGNATURE, 4);
    put_common(&local, crc, size, name);
    rv_text_format(&local, "%s.npy", array->name);
    put_le(&zip->central, CENTRAL_SIGNATURE, 4);
    put_le(&zip->central, VERSION, 2);
    put_common(&zip->central, crc, size, name);
    put_le(&zip->central, 0, 2 + 2 + 2 + 4); /* comment, disk, attributes */
    put_le(&zip->central, start, 4);
    rv_text_format(&zip->central, "%s.npy", array->name);
    rv_status status = RV_OK;
    if (npy.failed || local.failed || zip->central.failed)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory for its headers", path);
    if (status == RV_OK)
        status = put_bytes(zip, local.data, local.size, err);
    if (status == RV_OK)
        status = put_bytes(zip, npy.data, npy.size, err);
    if (status == RV_OK)
        status = put_bytes(zip, data, bytes, err);
    rv_text_release(&npy);
    rv_text_release(&local);
    return status;
}

static rv_status put_array(archive *zip, const rv_array *array, const char *path, rv_error *err)
{
    size_t bytes = 0;
    if (!rv_array_bytes(array->dtype, &array->shape, &bytes))
        return rv_fail(err, RV_E_SHAPE, "%s: the size of \"%s\" does not fit", path, array->name);
    if (array->dtype != RV_BF16)
        return put_member(zip, array, array->data, bytes, path, err);
    float *wide = widen(array, bytes / 2);
    if (wide == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory to widen \"%s\"", path, array->name);
    rv_status status = put_member(zip, array, wide, bytes * 2, path, err);
    free(wide);
    return status;
}

static rv_status put_end(archive *zip, int count, const char *path, rv_error *err)
{
    size_t size = zip->central.size;
    put_le(&zip->central, END_SIGNATURE, 4);
    put_le(&zip->central, 0, 4);
    put_le(&zip->central, (uint64_t)count, 2);
    put_le(&zip->central, (uint64_t)count, 2);
    put_le(&zip->central, size, 4);
    put_le(&zip->central, zip->at, 4);
    put_le(&zip->central, 0, 2);
    if (zip->central.failed)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its directory", path);
    return put_bytes(zip, zip->central.data, zip->central.size, err);
}

rv_status rv_npz_write(const char *path, const rv_array *arrays, int count, rv_error *err)
{
    if (count > 0xfffe)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: %d arrays, a zip file holds at most 65534", path, count);
    archive zip = {0};
    RV_TRY(rv_writer_open(&zip.writer, path, err));
    rv_status status = RV_OK;
    for (int i = 0; i < count && status == RV_OK; i++)
        status = put_array(&zip, &arrays[i], path, err);
    if (status == RV_OK)
        status = put_end(&zip, count, path, err);
    rv_text_release(&zip.central);
    if (status == RV_OK)
        return rv_writer_commit(zip.writer, err);
    rv_writer_abandon(zip.writer);
    return status;
}

/* ---- reading ------------------------------------------------------------------- */

typedef struct member {
    const unsigned char *central; /* its fixed part */
    const unsigned char *name, *packed;
    size_t name_size, start, packed_size, size;
    uint32_t crc;
    int method;
} member;

static rv_status bad(const rv_reader *reader, size_t at, const char *what, rv_error *err)
{
    return rv_fail(err, RV_E_FORMAT, "%s: at offset %zu: %s", reader->path, at, what);
}

/* The directory's place and number of entries, from the record that ends the file. */
static rv_status read_end(rv_reader *reader, int *count, size_t *directory, rv_error *err)
{
    if (reader->size < END_SIZE)
        return bad(reader, 0, "too short for a zip file", err);
    size_t at = reader->size - END_SIZE;
    const unsigned char *end = reader->data + at;
    size_t size = le(end + 12, 4);
    *directory = le(end + 16, 4);
    *count = (int)le(end + 10, 2);
    if (le(end, 4) != END_SIGNATURE || le(end + 4, 4) != 0 || le(end + 8, 2) != le(end + 10, 2) ||
        le(end + 20, 2) != 0 || size > at || *directory != at - size)
        return bad(reader, at, "expected the end record of a single plain zip file", err);
    return RV_OK;
}

static rv_status read_central(rv_reader *reader, size_t end, member *m, rv_error *err)
{
    size_t at = reader->at;
    RV_TRY(rv_reader_take(reader, CENTRAL_SIZE, &m->central, err));
    const unsigned char *c = m->central;
    m->method = (int)le(c + 10, 2);
    m->crc = le(c + 16, 4);
    m->packed_size = le(c + 20, 4);
    m->size = le(c + 24, 4);
    m->name_size = le(c + 28, 2);
    m->start = le(c + 42, 4);
    const unsigned char *rest = NULL;
    if (le(c, 4) != CENTRAL_SIGNATURE || (le(c + 8, 2) & ~(uint32_t)FLAG_UTF8) != 0 || le(c + 34, 2) != 0)
        return bad(reader, at, "expected a plain directory entry", err);
    if ((m->method != STORED && m->method != DEFLATED) || (m->method == STORED && m->size != m->packed_size))
        return bad(reader, at, "expected a stored or deflated member", err);
    RV_TRY(rv_reader_take(reader, m->name_size, &m->name, err));
    RV_TRY(rv_reader_take(reader, le(c + 30, 2) + le(c + 32, 2), &rest, err));
    return reader->at <= end ? RV_OK : bad(reader, at, "a directory entry passes the directory's end", err);
}

/* The local header must repeat the directory; members follow each other from *at. */
static rv_status read_local(rv_reader *reader, size_t directory, size_t *at, member *m, rv_error *err)
{
    const unsigned char *l = NULL, *name = NULL, *rest = NULL;
    if (m->start != *at)
        return bad(reader, m->start, "a member overlaps another or leaves a hole", err);
    reader->at = m->start;
    RV_TRY(rv_reader_take(reader, LOCAL_SIZE, &l, err));
    RV_TRY(rv_reader_take(reader, le(l + 26, 2), &name, err));
    RV_TRY(rv_reader_take(reader, le(l + 28, 2), &rest, err));
    RV_TRY(rv_reader_take(reader, m->packed_size, &m->packed, err));
    if (le(l, 4) != LOCAL_SIGNATURE || memcmp(l + 6, m->central + 8, 4) != 0 || le(l + 14, 4) != m->crc ||
        le(l + 26, 2) != m->name_size || memcmp(name, m->name, m->name_size) != 0)
        return bad(reader, m->start, "a local header differs from the directory", err);
    *at = reader->at;
    return *at <= directory ? RV_OK : bad(reader, m->start, "a member passes into the directory", err);
}

static rv_status member_name(const rv_reader *reader, const member *m, rv_array *array, rv_error *err)
{
    static const char suffix[] = ".npy";
    size_t n = m->name_size;
    if (n <= 4 || n - 4 >= sizeof array->name || memcmp(m->name + n - 4, suffix, 4) != 0 ||
        memchr(m->name, '\0', n) != NULL || m->name[0] == '/')
        return bad(reader, m->start, "expected a member NAME.npy", err);
    memcpy(array->name, m->name, n - 4);
    array->name[n - 4] = '\0';
    if (strstr(array->name, "..") != NULL)
        return bad(reader, m->start, "a member's name leads out of the archive", err);
    return RV_OK;
}

/* Inflates m into *out (owned by the caller): exactly m->size bytes. */
static rv_status inflate_member(const rv_reader *reader, const member *m, unsigned char **out, rv_error *err)
{
    /* A deflated byte stands for at most 1032: more is a lie, told before memory is asked for. */
    if (m->size / 1032 > m->packed_size)
        return bad(reader, m->start, "a member cannot inflate to its size", err);
    *out = malloc(m->size > 0 ? m->size : 1);
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)m->packed, .avail_in = (uInt)m->packed_size,
                  .next_out = *out, .avail_out = (uInt)m->size};
    if (*out == NULL || inflateInit2(&z, -15) != Z_OK)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for a member of %zu bytes", reader->path, m->size);
    int code = inflate(&z, Z_FINISH);
    bool whole = code == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0;
    inflateEnd(&z);
    return whole ? RV_OK : bad(reader, m->start, "bad deflate data", err);
}

static rv_status read_member(rv_reader *reader, const member *m, rv_array_set *out, int i, rv_error *err)
{
    rv_array *array = &out->arrays[i];
    unsigned char *inflated = NULL;
    const unsigned char *data = NULL;
    size_t bytes = 0;
    char where[700];
    RV_TRY(member_name(reader, m, array, err));
    for (int k = 0; k < i; k++)
        if (strcmp(out->arrays[k].name, array->name) == 0)
            return bad(reader, m->start, "a member is there twice", err);
    snprintf(where, sizeof where, "%s: \"%s\"", reader->path, array->name);
    rv_status status = m->method == STORED ? RV_OK : inflate_member(reader, m, &inflated, err);
    const unsigned char *file = inflated != NULL ? inflated : m->packed;
    if (status == RV_OK && crc_of(0, file, m->size) != m->crc)
        status = rv_fail(err, RV_E_FORMAT, "%s: its CRC is wrong", where);
    if (status == RV_OK)
        status = rv_npy_parse(file, m->size, where, array, &data, &bytes, err);
    if (status == RV_OK)
        status = rv_array_set_fill(out, i, data, bytes, reader->path, err);
    free(inflated);
    return status;
}

static int by_start(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static rv_status read_members(rv_reader *reader, member *members, int count, size_t directory, rv_array_set *out,
                              rv_error *err)
{
    size_t at = 0;
    reader->at = directory;
    for (int i = 0; i < count; i++)
        RV_TRY(read_central(reader, reader->size - END_SIZE, &members[i], err));
    if (reader->at != reader->size - END_SIZE)
        return bad(reader, reader->at, "expected the end of the directory", err);
    qsort(members, (size_t)count, sizeof *members, by_start);
    for (int i = 0; i < count; i++)
        RV_TRY(read_local(reader, directory, &at, &members[i], err));
    if (at != directory)
        return bad(reader, at, "expected the directory", err);
    for (int i = 0; i < count; i++)
        RV_TRY(read_member(reader, &members[i], out, i, err));
    return RV_OK;
}

rv_status rv_npz_read(const char *path, rv_array_set *out, rv_error *err)
{
    rv_reader reader;
    int count = 0;
    size_t directory = 0;
    *out = (rv_array_set){0};
    RV_TRY(rv_reader_open_plain(&reader, path, zip_limit, err));
    rv_status status = read_end(&reader, &count, &directory, err);
    member *members = calloc((size_t)count + 1, sizeof *members);
    if (status == RV_OK && members == NULL)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory for %d members", path, count);
    if (status == RV_OK)
        status = rv_array_set_init(out, count, path, err);
    if (status == RV_OK)
        status = read_members(&reader, members, count, directory, out, err);
    free(members);
    if (status != RV_OK)
        rv_array_set_release(out);
    rv_reader_close(&reader);
    return status;
}
