/* Losses and their gradients in one pass; sums of a batch are kept in double. */
#ifndef RV_TENSOR_KERNELS_CPU_LOSS_H
#define RV_TENSOR_KERNELS_CPU_LOSS_H

#include "tensor/kernels/cpu/cpu.h"

typedef enum rv_point_loss { RV_POINT_MSE, RV_POINT_L1, RV_POINT_BINARY } rv_point_loss;

struct rv_cpu_loss {
    /* log sum exp of x [n], n >= 1; *weighted: sum of w_c x_c (w NULL: 1), where wanted. */
    float (*log_sum_exp)(int64_t n, const float *x, const float *w, float *weighted);
    /* g (+)= scale (total e^(x - norm) - spread w), [n]; w NULL: 1. */
    void (*softmax_gradient)(int64_t n, const float *x, float norm, float scale, float total, float spread,
                             const float *w, bool add, float *g);
    /* Sum of weight * loss(x, target) over n; *total: of the weights.  weight NULL: 1. */
    double (*point)(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                    double *total);
    /* Gradients of that sum times scale; gx, gtarget, gweight: NULL: not wanted; add [3]. */
    void (*point_gradient)(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                           float scale, float *const gradients[3], const bool add[3]);
};

#endif
