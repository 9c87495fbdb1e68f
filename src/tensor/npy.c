/* The npy header.  Invariant: only C-ordered little-endian arrays of our element types
 * pass, and their size is exactly that of the file.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include <string.h>

#include "tensor/array.h"
#include "tensor/npy.h"

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

static const struct {
    rv_dtype dtype;
    const char *descr;
} descrs[] = {{RV_F32, "<f4"}, {RV_F64, "<f8"}, {RV_I32, "<i4"}, {RV_U8, "|u1"}};
enum { DESCRS = (int)(sizeof descrs / sizeof descrs[0]) };

void rv_npy_header(const rv_array *array, rv_text *out)
{
    rv_dtype dtype = array->dtype == RV_BF16 ? RV_F32 : array->dtype;
    rv_text dict = {0};
    for (int i = 0; i < DESCRS; i++)
        if (descrs[i].dtype == dtype)
            rv_text_format(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descrs[i].descr);
    for (int i = 0; i < array->shape.rank; i++)
        rv_text_format(&dict, "%s%lld%s", i > 0 ? " " : "", (long long)array->shape.dim[i],
                       i + 1 < array->shape.rank || array->shape.rank == 1 ? "," : "");
    rv_text_format(&dict, "), }");
    size_t used = 10 + dict.size + 1; /* magic, version, length, and the closing newline */
    rv_text_format(&dict, "%*s\n", (int)((64 - used % 64) % 64), "");
    rv_text_put(out, (const char *)magic, sizeof magic);
    const char fixed[4] = {1, 0, (char)(dict.size & 255), (char)(dict.size >> 8)};
    rv_text_put(out, fixed, sizeof fixed);
    rv_text_put(out, dict.data, dict.size);
    out->failed |= dict.failed;
    rv_text_release(&dict);
}

/* ---- the dictionary ------------------------------------------------------------ */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n'))
        c->at++;
}

static bool accept(cursor *c, const char *token)
{
    skip_space(c);
    size_t n = strlen(token);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, token, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool natural(cursor *c, int64_t *value)
{
    skip_space(c);
    const char *start = c->at;
    *value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *c->at - '0', value))
            return false;
    return c->at > start;
}

static bool parse_descr(cursor *c, rv_dtype *dtype)
{
    for (int i = 0; i < DESCRS; i++) {
        char quoted[8];
        snprintf(quoted, sizeof quoted, "'%s'", descrs[i].descr);
        if (accept(c, quoted)) {
            *dtype = descrs[i].dtype;
            return true;
        }
    }
    return false;
}

static bool parse_shape(cursor *c, rv_shape *shape)
{
    shape->rank = 0;
    if (!accept(c, "("))
        return false;
    while (!accept(c, ")")) {
        if (shape->rank == RV_MAX_RANK || !natural(c, &shape->dim[shape->rank++]))
            return false;
        if (!accept(c, ",")) /* only the last extent of several has none */
            return shape->rank > 1 && accept(c, ")");
    }
    return true;
}

static bool parse_dict(cursor *c, rv_array *array, bool *fortran)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    int seen = 0;
    if (!accept(c, "{"))
        return false;
    while (!accept(c, "}")) {
        int key = accept(c, "'descr':") ? DESCR : accept(c, "'fortran_order':") ? ORDER
                                              : accept(c, "'shape':")           ? SHAPE
                                                                                : 0;
        if (key == 0 || (seen & key) != 0)
            return false;
        seen |= key;
        if (key == DESCR && !parse_descr(c, &array->dtype))
            return false;
        if (key == SHAPE && !parse_shape(c, &array->shape))
            return false;
        if (key == ORDER) {
            *fortran = accept(c, "True");
            if (!*fortran && !accept(c, "False"))
                return false;
        }
        (void)accept(c, ",");
    }
    skip_space(c);
    return seen == (DESCR | ORDER | SHAPE) && c->at == c->end;
}

rv_status rv_npy_parse(const unsigned char *file, size_t size, const char *where, rv_array *array,
                       const unsigned char **data, size_t *bytes, rv_error *err)
{
    if (size < 10 || memcmp(file, magic, sizeof magic) != 0)
        return rv_fail(err, RV_E_FORMAT, "%s: not an npy array", where);
    bool wide = file[6] == 2 || file[6] == 3;
    if ((file[6] != 1 && !wide) || file[7] != 0 || (wide && size < 12))
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: npy version %d.%d, expected 1.0 to 3.0", where, file[6], file[7]);
    size_t start = wide ? 12 : 10, length = (size_t)file[8] | (size_t)file[9] << 8;
    if (wide)
        length |= (size_t)file[10] << 16 | (size_t)file[11] << 24;
    if (length > size - start)
        return rv_fail(err, RV_E_FORMAT, "%s: npy header of %zu bytes, only %zu follow", where, length, size - start);
    cursor c = {(const char *)file + start, (const char *)file + start + length};
    bool fortran = false;
    if (!parse_dict(&c, array, &fortran))
        return rv_fail(err, RV_E_FORMAT, "%s: npy header not understood at offset %zu: expected descr (<f4, <f8, <i4 "
                       "or |u1), fortran_order and shape", where, (size_t)(c.at - (const char *)file));
    if (fortran && array->shape.rank > 1)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: expected C order, found Fortran order", where);
    *data = file + start + length;
    if (!rv_array_bytes(array->dtype, &array->shape, bytes) || *bytes != size - start - length)
        return rv_fail(err, RV_E_FORMAT, "%s: its shape does not fit the %zu bytes of data", where,
                       size - start - length);
    return RV_OK;
}
