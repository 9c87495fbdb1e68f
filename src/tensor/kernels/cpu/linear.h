/* What stands around the products of a linear layer: bias and activation behind the
 * forward product, their gradients before the backward ones; each one pass. */
#ifndef RV_TENSOR_KERNELS_CPU_LINEAR_H
#define RV_TENSOR_KERNELS_CPU_LINEAR_H

#include "ravine/tensor.h"
#include "tensor/kernels/cpu/cpu.h"

/* Rows in bf16 stand rv_bf16_ld(width) apart; a row of odd width ends with a zero. */
static inline int64_t rv_bf16_ld(int64_t width)
{
    return width + width % 2;
}

struct rv_cpu_linear {
    /* act(z + bias) for the product z [rows, width], to y (NULL: not wanted; may be z) and to rounded in
     * bf16 (NULL: not wanted); bias [width] or NULL.
     * slope [rows, width]: as rv_cpu_activation.forward has it; NULL: not wanted. */
    void (*finish)(rv_activation act, int64_t rows, int64_t width, const float *z, const float *bias, float *y,
                   float *slope, uint16_t *rounded);
    /* gz = gy act', from the result y or the stored slope; gbias (+)= its column sums.
     * gz and gz_bf16 [rows, width], gbias [width]: NULL: not wanted. */
    void (*start)(rv_activation act, int64_t rows, int64_t width, const float *y, const float *slope,
                  const float *gy, float *gz, uint16_t *gz_bf16, bool add, float *gbias);
    /* y = x [rows, width] in bf16. */
    void (*round)(int64_t rows, int64_t width, const float *x, uint16_t *y);
};

#endif
