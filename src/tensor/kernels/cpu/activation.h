/* Activation functions on arrays, forward and backward. */
#ifndef RV_TENSOR_KERNELS_CPU_ACTIVATION_H
#define RV_TENSOR_KERNELS_CPU_ACTIVATION_H

#include "ravine/tensor.h"
#include "tensor/kernels/cpu/cpu.h"

/* Whether the derivative cannot be had from the result: GELU (both) and SiLU.  Their
 * forward stores the derivative instead, so that backward is one product. */
static inline bool rv_activation_saves(rv_activation act)
{
    return act == RV_ACT_GELU || act == RV_ACT_GELU_TANH || act == RV_ACT_SILU;
}

struct rv_cpu_activation {
    /* y = act(x), both [n]; y may be x.  slope [n]: receives act'(x) where
     * rv_activation_saves; NULL when no gradient follows. */
    void (*forward)(rv_activation act, size_t n, const float *x, float *y, float *slope);
    /* gx (+)= gy act'(x), from the result y or the slope that forward stored; gx may be gy. */
    void (*backward)(rv_activation act, size_t n, const float *y, const float *slope, const float *gy,
                     float *gx, bool add);
    /* The vector functions themselves, y = f(x), [n]. */
    void (*exp)(size_t n, const float *x, float *y);
    void (*log)(size_t n, const float *x, float *y);
    void (*tanh)(size_t n, const float *x, float *y);
    void (*sigmoid)(size_t n, const float *x, float *y);
    void (*softplus)(size_t n, const float *x, float *y);
    void (*normal)(size_t n, const float *x, float *y); /* distribution function */
};

#endif
