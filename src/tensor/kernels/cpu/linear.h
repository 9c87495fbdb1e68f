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

/* Where nothing of a GELU is wanted but bf16, it is computed no better than that asks for.
 *
 * Where act(z + bias) goes and what backward is to find of it, each [rows, width]; NULL: not wanted.
 * slope: as rv_cpu_activation.forward has it, in float32 or in bf16. */
typedef struct rv_linear_result {
    float *y; /* may be z */
    uint16_t *y_bf16;
    float *slope;
    uint16_t *slope_bf16;
} rv_linear_result;

/* What backward makes of the gradient gz before the activation; NULL: not wanted. */
typedef struct rv_linear_gradient {
    float *gz;            /* [rows, width] */
    uint16_t *gz_bf16;    /* [rows, width] */
    uint32_t *gz_pairs;   /* as rv_cpu_gemm.pair_rows makes them */
    float *bias;          /* [width] column sums */
    bool add_bias;        /* to what is there */
} rv_linear_gradient;

struct rv_cpu_linear {
    /* From the product z [rows, width]; bias [width] or NULL. */
    void (*finish)(rv_activation act, int64_t rows, int64_t width, const float *z, const float *bias,
                   const rv_linear_result *to);
    /* gz = gy act', from what finish left, for width neighbouring columns of rows ld wide, to which all
     * pointers point; an odd width is that of the last columns. */
    void (*start)(rv_activation act, int64_t rows, int64_t width, int64_t ld, const rv_linear_result *from,
                  const float *gy, const rv_linear_gradient *to);
    /* y = x [rows, width] in bf16. */
    void (*round)(int64_t rows, int64_t width, const float *x, uint16_t *y);
};

#endif
