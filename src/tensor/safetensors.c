/* safetensors: 8-byte little-endian header length, JSON header, raw data.  Invariant: a
 * file that is accepted is covered by its tensors exactly, without hole or overlap.
 * Format: https://github.com/huggingface/safetensors#format */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "tensor/array.h"

static const size_t header_limit = 100000000;
static const char metadata_key[] = "__metadata__";

static const struct {
    rv_dtype dtype;
    const char *name;
} dtypes[] = {{RV_F32, "F32"}, {RV_F64, "F64"}, {RV_BF16, "BF16"}, {RV_I32, "I32"}, {RV_U8, "U8"}};
enum { DTYPES = (int)(sizeof dtypes / sizeof dtypes[0]) };

/* ---- writing ----------------------------------------------------------------- */

/* Larger elements first, so that every array is aligned to its element. */
static int by_element(const void *a, const void *b)
{
    const rv_array *const *x = a, *const *y = b;
    size_t p = rv_dtype_size((*x)->dtype), q = rv_dtype_size((*y)->dtype);
    if (p != q)
        return p < q ? 1 : -1;
    return *x < *y ? -1 : *x > *y; /* pointers into one list: keeps its order */
}

static const char *dtype_word(rv_dtype dtype)
{
    for (int i = 0; i < DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return "";
}

static json_t *describe(const rv_array *array, size_t begin, size_t end)
{
    json_t *shape = json_array();
    for (int i = 0; i < array->shape.rank; i++)
        json_array_append_new(shape, json_integer(array->shape.dim[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtype_word(array->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static rv_status check_metadata(const json_t *metadata, const char *path, rv_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(metadata))
        return rv_fail(err, RV_E_FORMAT, "%s: %s must be an object of strings", path, metadata_key);
    json_object_foreach ((json_t *)(uintptr_t)metadata, key, value)
        if (!json_is_string(value))
            return rv_fail(err, RV_E_FORMAT, "%s: %s: \"%.80s\" must be a string", path, metadata_key, key);
    return RV_OK;
}

static rv_status add_metadata(json_t *header, const char *metadata, const char *path, rv_error *err)
{
    json_t *object = NULL;
    if (metadata == NULL)
        return RV_OK;
    RV_TRY(rv_json_parse(metadata, strlen(metadata), path, &object, err));
    rv_status status = check_metadata(object, path, err);
    if (status == RV_OK && json_object_set(header, metadata_key, object) != 0)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory for the header", path);
    json_decref(object);
    return status;
}

static rv_status add_tensors(json_t *header, const rv_array *const *arrays, int count, const char *path, rv_error *err)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        size_t bytes = 0, end = 0;
        const char *name = arrays[i]->name;
        if (!rv_array_bytes(arrays[i]->dtype, &arrays[i]->shape, &bytes) || !rv_size_add(at, bytes, &end))
            return rv_fail(err, RV_E_SHAPE, "%s: the size of \"%s\" does not fit", path, name);
        if (strcmp(name, metadata_key) == 0 || json_object_get(header, name) != NULL)
            return rv_fail(err, RV_E_ARGUMENT, "%s: \"%s\" is there twice", path, name);
        if (json_object_set_new(header, name, describe(arrays[i], at, end)) != 0)
            return rv_fail(err, RV_E_MEMORY, "%s: no memory for the header", path);
        at = end;
    }
    return RV_OK;
}

/* The header as bytes, padded with spaces so that the data starts at a multiple of 8. */
static rv_status header_text(const rv_array *const *arrays, int count, const char *metadata, const char *path,
                             rv_text *text, rv_error *err)
{
    json_t *header = json_object();
    rv_status status = header == NULL ? rv_fail(err, RV_E_MEMORY, "%s: no memory for the header", path) : RV_OK;
    if (status == RV_OK)
        status = add_metadata(header, metadata, path, err);
    if (status == RV_OK)
        status = add_tensors(header, arrays, count, path, err);
    char *json = status == RV_OK ? rv_json_text(header, 0) : NULL;
    json_decref(header);
    if (status == RV_OK && json != NULL)
        rv_text_put(text, json, strlen(json));
    if (status == RV_OK && json != NULL)
        rv_text_format(text, "%*s", (int)((8 - strlen(json) % 8) % 8), "");
    if (status == RV_OK && (json == NULL || text->failed))
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory for the header", path);
    free(json);
    return status;
}

static rv_status write_file(const char *path, const rv_array *const *arrays, int count, const rv_text *header,
                            rv_error *err)
{
    rv_writer *writer = NULL;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(header->size >> 8 * i);
    RV_TRY(rv_writer_open(&writer, path, err));
    rv_status status = rv_writer_put(writer, length, sizeof length, err);
    if (status == RV_OK)
        status = rv_writer_put(writer, header->data, header->size, err);
    for (int i = 0; i < count && status == RV_OK; i++) {
        size_t bytes = 0;
        (void)rv_array_bytes(arrays[i]->dtype, &arrays[i]->shape, &bytes); /* checked with the header */
        status = rv_writer_put(writer, arrays[i]->data, bytes, err);
    }
    if (status == RV_OK)
        return rv_writer_commit(writer, err);
    rv_writer_abandon(writer);
    return status;
}

rv_status rv_safetensors_write(const char *path, const rv_array *arrays, int count, const char *metadata,
                               rv_error *err)
{
    const rv_array **order = calloc(count > 0 ? (size_t)count : 1, sizeof *order);
    if (order == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %d arrays", path, count);
    for (int i = 0; i < count; i++)
        order[i] = &arrays[i];
    qsort(order, (size_t)count, sizeof *order, by_element);
    rv_text header = {0};
    rv_status status = header_text(order, count, metadata, path, &header, err);
    if (status == RV_OK)
        status = write_file(path, order, count, &header, err);
    rv_text_release(&header);
    free(order);
    return status;
}

/* ---- reading ------------------------------------------------------------------- */

typedef struct entry {
    rv_array array;
    size_t begin, end;
} entry;

static int by_offset(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static bool natural(const json_t *value, int64_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

static rv_status parse_dtype(const json_t *value, const char *where, rv_dtype *dtype, rv_error *err)
{
    const char *word = json_string_value(value);
    for (int i = 0; word != NULL && i < DTYPES; i++)
        if (strcmp(dtypes[i].name, word) == 0) {
            *dtype = dtypes[i].dtype;
            return RV_OK;
        }
    return rv_fail(err, RV_E_UNSUPPORTED, "%s: expected dtype F32, F64, BF16, I32 or U8, found \"%.20s\"", where,
                   word == NULL ? "no text" : word);
}

static rv_status parse_shape(const json_t *value, const char *where, rv_shape *shape, rv_error *err)
{
    if (!json_is_array(value) || json_array_size(value) > RV_MAX_RANK)
        return rv_fail(err, RV_E_FORMAT, "%s: expected a shape of at most %d extents", where, RV_MAX_RANK);
    shape->rank = (int)json_array_size(value);
    for (int i = 0; i < shape->rank; i++)
        if (!natural(json_array_get(value, (size_t)i), &shape->dim[i]))
            return rv_fail(err, RV_E_FORMAT, "%s: extent %d is not a natural number", where, i);
    return RV_OK;
}

static rv_status parse_entry(const char *path, const char *name, const json_t *info, entry *out, rv_error *err)
{
    char where[512];
    int64_t begin = 0, end = 0;
    size_t bytes = 0;
    snprintf(where, sizeof where, "%.300s: tensor \"%.130s\"", path, name);
    if (name[0] == '\0' || strlen(name) >= sizeof out->array.name)
        return rv_fail(err, RV_E_FORMAT, "%s: a name has 1 to %zu bytes", where, sizeof out->array.name - 1);
    const json_t *offsets = json_object_get(info, "data_offsets");
    if (json_object_size(info) != 3 || json_array_size(offsets) != 2 ||
        !natural(json_array_get(offsets, 0), &begin) || !natural(json_array_get(offsets, 1), &end))
        return rv_fail(err, RV_E_FORMAT, "%s: expected dtype, shape and two data_offsets", where);
    memcpy(out->array.name, name, strlen(name));
    RV_TRY(parse_dtype(json_object_get(info, "dtype"), where, &out->array.dtype, err));
    RV_TRY(parse_shape(json_object_get(info, "shape"), where, &out->array.shape, err));
    if (!rv_array_bytes(out->array.dtype, &out->array.shape, &bytes))
        return rv_fail(err, RV_E_FORMAT, "%s: its size does not fit any memory", where);
    if (end < begin || (size_t)(end - begin) != bytes)
        return rv_fail(err, RV_E_FORMAT, "%s: its shape takes %zu bytes, its offsets are %lld to %lld", where, bytes,
                       (long long)begin, (long long)end);
    out->begin = (size_t)begin;
    out->end = (size_t)end;
    return RV_OK;
}

/* Entries sorted by offset must follow each other from 0 to size. */
static rv_status check_cover(const char *path, const entry *entries, int count, size_t size, rv_error *err)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i].begin != at)
            return rv_fail(err, RV_E_FORMAT, "%s: tensor \"%s\" begins at %zu of the data, expected %zu: %s", path,
                           entries[i].array.name, entries[i].begin, at,
                           entries[i].begin < at ? "it overlaps another" : "a hole");
        at = entries[i].end;
    }
    if (at != size)
        return rv_fail(err, RV_E_FORMAT, "%s: its tensors take %zu bytes, the file holds %zu", path, at, size);
    return RV_OK;
}

static rv_status parse_entries(const char *path, const json_t *header, entry *entries, size_t size, rv_array_set *out,
                               rv_error *err)
{
    int count = 0;
    const char *name = NULL;
    json_t *info = NULL;
    json_object_foreach ((json_t *)(uintptr_t)header, name, info) {
        if (strcmp(name, metadata_key) != 0) {
            RV_TRY(parse_entry(path, name, info, &entries[count], err));
            count++;
            continue;
        }
        RV_TRY(check_metadata(info, path, err));
        out->metadata = rv_json_text(info, 0);
        if (out->metadata == NULL)
            return rv_fail(err, RV_E_MEMORY, "%s: no memory for its metadata", path);
    }
    qsort(entries, (size_t)count, sizeof *entries, by_offset);
    out->count = count;
    return check_cover(path, entries, count, size, err);
}

static rv_status read_arrays(rv_reader *reader, const json_t *header, rv_array_set *out, rv_error *err)
{
    size_t most = json_object_size(header), size = reader->size - reader->at;
    entry *entries = calloc(most > 0 ? most : 1, sizeof *entries);
    rv_status status = rv_array_set_init(out, (int)most, reader->path, err);
    if (status == RV_OK && entries == NULL)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu tensors", reader->path, most);
    if (status == RV_OK)
        status = parse_entries(reader->path, header, entries, size, out, err);
    for (int i = 0; status == RV_OK && i < out->count; i++) {
        const unsigned char *bytes = NULL;
        size_t n = entries[i].end - entries[i].begin;
        out->arrays[i] = entries[i].array;
        status = rv_reader_take(reader, n, &bytes, err);
        if (status == RV_OK)
            status = rv_array_set_fill(out, i, bytes, n, reader->path, err);
    }
    free(entries);
    return status;
}

static rv_status read_header(rv_reader *reader, json_t **header, rv_error *err)
{
    uint64_t length = 0;
    const unsigned char *text = NULL;
    RV_TRY(rv_reader_le64(reader, &length, err));
    if (length < 2 || length > header_limit || length > reader->size - reader->at)
        return rv_fail(err, RV_E_FORMAT, "%s: header length %llu at offset 0, expected 2 to %zu", reader->path,
                       (unsigned long long)length,
                       header_limit < reader->size - reader->at ? header_limit : reader->size - reader->at);
    RV_TRY(rv_reader_take(reader, (size_t)length, &text, err));
    if (text[0] != '{')
        return rv_fail(err, RV_E_FORMAT, "%s: expected '{' at offset 8", reader->path);
    return rv_json_parse((const char *)text, (size_t)length, reader->path, header, err);
}

rv_status rv_safetensors_read(const char *path, rv_array_set *out, rv_error *err)
{
    rv_reader reader;
    json_t *header = NULL;
    *out = (rv_array_set){0};
    RV_TRY(rv_reader_open_plain(&reader, path, SIZE_MAX / 2, err));
    rv_status status = read_header(&reader, &header, err);
    if (status == RV_OK)
        status = read_arrays(&reader, header, out, err);
    if (status != RV_OK)
        rv_array_set_release(out);
    json_decref(header);
    rv_reader_close(&reader);
    return status;
}
