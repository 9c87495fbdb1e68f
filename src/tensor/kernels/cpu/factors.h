/* The factor sums of a linear layer from its rows (rv_layout_factors of ravine/tensor.h). */
#ifndef RV_TENSOR_KERNELS_CPU_FACTORS_H
#define RV_TENSOR_KERNELS_CPU_FACTORS_H

#include "ravine/core.h"

typedef struct rv_factor_rows {
    int64_t rows, in, out;
    bool bias;
    const float *x; /* [rows, in] */
    const float *g; /* [rows, out] */
} rv_factor_rows;

/* Adds the rows to sums [width * width + out * out + 1], on the calling thread alone.  RV_E_MEMORY. */
rv_status rv_factors_add(rv_factor_rows rows, float *sums, rv_error *err);

#endif
