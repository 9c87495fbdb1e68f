/* Directions and slices.  Every parameter draws from its own index of a stream of its own
 * direction, so tensors share no prefix and two directions are independent. */
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"
#include "ravine/landscape.h"

static void draw_rows(const rv_objective *o, const void *w, const rv_tensor *tensor, int64_t rows, double *d)
{
    int64_t size = rv_shape_size(&tensor->shape), width = rows > 0 ? size / rows : 0;
    for (int64_t r = 0; r < rows; r++) {
        double *row = d + tensor->offset + r * width, weights = 0, norm = rv_vector_norm(row, width);
        for (int64_t k = 0; k < width; k++)
            weights += pow(rv_vector_at(w, o->dtype, tensor->offset + r * width + k), 2);
        rv_vector_scale(row, norm > 0 ? sqrt(weights) / norm : 0, width);
    }
}

void rv_direction_draw(const rv_objective *objective, const void *w, rv_direction kind, uint64_t seed,
                       uint64_t index, double *d)
{
    const rv_layout *layout = objective->layout;
    rv_random stream = {seed, RV_RANDOM_PROBE, index};
    for (int64_t i = 0; i < layout->size; i++)
        d[i] = 0;
    for (int t = 0; t < layout->count; t++) {
        const rv_tensor *tensor = &layout->tensors[t];
        int64_t size = rv_shape_size(&tensor->shape);
        bool matrix = tensor->shape.rank >= 2;
        if (kind == RV_DIRECTION_FILTER && !matrix)
            continue;
        for (int64_t i = 0; i < size; i++)
            d[tensor->offset + i] = rv_random_normal(stream, (uint64_t)(tensor->offset + i));
        if (kind == RV_DIRECTION_TENSOR)
            draw_rows(objective, w, tensor, 1, d);
        else if (kind == RV_DIRECTION_FILTER)
            draw_rows(objective, w, tensor, tensor->shape.dim[0], d);
    }
}

rv_status rv_probe_slice(rv_objective *objective, const void *w, const double *dx, int nx, const double *x,
                         const double *dy, int ny, const double *y, rv_split split, const char *metric,
                         double *values, rv_error *err)
{
    const rv_view view = {.probe = {.objective = objective}, .split = split, .metric = metric};
    int64_t n = objective->layout->size;
    void *point = rv_weights_new(objective, err);
    rv_status status = point ? RV_OK : RV_E_MEMORY;
    for (int k = 0; k < nx * ny && status == RV_OK; k++) {
        rv_vector_move(point, w, objective->dtype, x[k % nx], dx, n);
        if (dy)
            rv_vector_move(point, point, objective->dtype, y[k / nx], dy, n);
        status = rv_view_value(&view, point, &values[k], err);
    }
    free(point);
    return status;
}
