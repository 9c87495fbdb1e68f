/* Owned sets of arrays.  Invariant: release is right at any state of the filling. */
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "tensor/array.h"

bool rv_array_bytes(rv_dtype dtype, const rv_shape *shape, size_t *bytes)
{
    *bytes = rv_dtype_size(dtype);
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0 || !rv_size_mul(*bytes, (size_t)shape->dim[i], bytes))
            return false;
    return *bytes <= (size_t)INT64_MAX;
}

rv_status rv_array_set_init(rv_array_set *set, int count, const char *path, rv_error *err)
{
    *set = (rv_array_set){0};
    set->arrays = calloc(count > 0 ? (size_t)count : 1, sizeof *set->arrays);
    if (set->arrays == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %d arrays", path, count);
    set->count = count;
    return RV_OK;
}

rv_status rv_array_set_fill(rv_array_set *set, int i, const void *bytes, size_t n, const char *path, rv_error *err)
{
    rv_array *array = &set->arrays[i];
    array->data = aligned_alloc(64, rv_arena_align(n > 0 ? n : 1));
    if (array->data == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for the %zu bytes of \"%s\"", path, n, array->name);
    if (n > 0)
        memcpy(array->data, bytes, n);
    return RV_OK;
}

void rv_array_set_release(rv_array_set *set)
{
    for (int i = 0; i < set->count; i++)
        free(set->arrays[i].data);
    free(set->arrays);
    free(set->metadata);
    *set = (rv_array_set){0};
}
