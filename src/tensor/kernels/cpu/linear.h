/* What stands around the products of a linear layer: bias and activation behind the
 * forward product, their gradients before the backward ones; each one pass. */
#ifndef RV_TENSOR_KERNELS_CPU_LINEAR_H
#define RV_TENSOR_KERNELS_CPU_LINEAR_H

#include "ravine/tensor.h"
#include "tensor/kernels/cpu/cpu.h"

struct rv_cpu_linear {
    /* y [rows, width] holds the product and receives act(y + bias); bias [width] or NULL.
     * slope [rows, width]: as rv_cpu_activation.forward has it; NULL: not wanted. */
    void (*finish)(rv_activation act, int64_t rows, int64_t width, float *y, const float *bias, float *slope);
    /* gz = gy act', from the result y or the stored slope; gbias (+)= its column sums.
     * gz and gz_bf16 [rows, width], gbias [width]: NULL: not wanted.  Rows stand ld apart. */
    void (*start)(rv_activation act, int64_t rows, int64_t width, int64_t ld, const float *y, const float *slope,
                  const float *gy, float *gz, uint16_t *gz_bf16, bool add, float *gbias);
    /* y = x rounded to bf16, both [n]. */
    void (*round)(int64_t n, const float *x, uint16_t *y);
};

#endif
