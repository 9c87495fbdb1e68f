/* Dropout by masks that are drawn again instead of stored. */
#ifndef RV_TENSOR_KERNELS_CPU_DROPOUT_H
#define RV_TENSOR_KERNELS_CPU_DROPOUT_H

#include "tensor/kernels/cpu/cpu.h"

/* Element e is decided by word e % 4 of block first + e / 4 of the stream: kept and
 * multiplied with factor when the word is at least threshold, otherwise zero. */
typedef struct rv_dropout_mask {
    rv_random stream;
    uint64_t first;     /* a multiple of 16 */
    uint64_t threshold; /* in [0, 2^32] */
    float factor;
} rv_dropout_mask;

struct rv_cpu_dropout {
    /* y (+)= x under the mask, both [n]; x NULL: ones; y may be x. */
    void (*apply)(const rv_dropout_mask *mask, size_t n, const float *x, float *y, bool add);
};

#endif
