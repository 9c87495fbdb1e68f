/* Shapes, element types, roles and layouts.  Invariant: texts are fixed words that
 * files and rules are written with. */
#include <stdio.h>
#include <string.h>

#include "ravine/tensor.h"

static const struct {
    size_t size;
    const char *name;
} dtypes[] = {
    [RV_F32] = {4, "f32"}, [RV_F64] = {8, "f64"}, [RV_BF16] = {2, "bf16"}, [RV_I32] = {4, "i32"}, [RV_U8] = {1, "u8"},
};

size_t rv_dtype_size(rv_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *rv_dtype_name(rv_dtype dtype)
{
    return dtypes[dtype].name;
}

int64_t rv_shape_size(const rv_shape *shape)
{
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++)
        size *= shape->dim[i];
    return size;
}

bool rv_shape_equal(const rv_shape *a, const rv_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

const char *rv_shape_text(const rv_shape *shape, char *text, size_t size)
{
    int used = snprintf(text, size, "[");
    for (int i = 0; i < shape->rank && (size_t)used < size; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%lld", i > 0 ? ", " : "", (long long)shape->dim[i]);
    if ((size_t)used < size)
        snprintf(text + used, size - (size_t)used, "]");
    return text;
}

const char *rv_role_name(rv_role role)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        RV_ROLE_MAP(X)
#undef X
    };
    return names[role];
}

int64_t rv_layout_parameters(const rv_layout *layout)
{
    int64_t parameters = 0;
    for (int i = 0; i < layout->count; i++)
        parameters += rv_shape_size(&layout->tensors[i].shape);
    return parameters;
}

int rv_layout_find(const rv_layout *layout, const char *name)
{
    for (int i = 0; i < layout->count; i++)
        if (strcmp(layout->tensors[i].name, name) == 0)
            return i;
    return -1;
}

int64_t rv_layer_width(const rv_linear_layer *layer)
{
    return layer->in + (layer->bias >= 0);
}

int64_t rv_layer_factors(const rv_linear_layer *layer)
{
    const int64_t width = rv_layer_width(layer);
    return width * width + layer->out * layer->out + 1;
}

int64_t rv_layout_factors(const rv_layout *layout)
{
    int64_t size = layout->layer_count > 0;
    for (int i = 0; i < layout->layer_count; i++)
        size += rv_layer_factors(&layout->layers[i]);
    return size;
}
