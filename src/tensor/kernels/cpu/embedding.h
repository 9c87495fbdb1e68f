/* Sums into chosen rows of a table. */
#ifndef RV_TENSOR_KERNELS_CPU_EMBEDDING_H
#define RV_TENSOR_KERNELS_CPU_EMBEDDING_H

#include "tensor/kernels/cpu/cpu.h"

struct rv_cpu_embedding {
    /* table[ids[i]] += rows[i] in the order of i; rows [count, width]. */
    void (*add_rows)(int64_t count, int64_t width, const int32_t *ids, const float *rows, float *table);
};

#endif
