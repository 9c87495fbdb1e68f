/* Sums into rows of a table. */
#include "tensor/kernels/cpu/embedding.h"
#include "tensor/kernels/cpu/vec.h"

static void add_rows(int64_t count, int64_t width, const int32_t *ids, const float *rows, float *table)
{
    for (int64_t i = 0; i < count; i++, rows += width) {
        float *to = table + ids[i] * width;
        for (int64_t j = 0; j < width; j += RV_LANES) {
            size_t n = width - j < RV_LANES ? (size_t)(width - j) : RV_LANES;
            vf_store_n(to + j, vf_load_n(to + j, n) + vf_load_n(rows + j, n), n);
        }
    }
}

const struct rv_cpu_embedding RV_CPU_TABLE(embedding) = {.add_rows = add_rows};
