/* The matrix product of row-major float32 operands, by whichever engine was measured
 * to be fastest for its shape on one core; the choice depends on the shape alone. */
#ifndef RV_TENSOR_KERNELS_CPU_PRODUCT_H
#define RV_TENSOR_KERNELS_CPU_PRODUCT_H

#include "ravine/core.h"

typedef struct rv_matrix {
    const float *data;
    int64_t ld;      /* elements from one stored row to the next */
    bool transposed; /* stored as its transpose */
} rv_matrix;

/* c [m, n] (+)= a [m, k] b [k, n], on the calling thread alone.  RV_E_MEMORY: no room for
 * the engine's packing. */
rv_status rv_product(int64_t m, int64_t n, int64_t k, rv_matrix a, rv_matrix b, bool add, float *c, int64_t ldc,
                     rv_error *err);

#endif
