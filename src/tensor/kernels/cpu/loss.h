/* Losses and their gradients in one pass; sums of a batch are kept in double. */
#ifndef RV_TENSOR_KERNELS_CPU_LOSS_H
#define RV_TENSOR_KERNELS_CPU_LOSS_H

#include "tensor/kernels/cpu/cpu.h"

typedef enum rv_point_loss { RV_POINT_MSE, RV_POINT_L1, RV_POINT_BINARY } rv_point_loss;

/* Gradient of one row, [n]; w NULL: 1; added to g or written over it. */
typedef void rv_row_gradient(int64_t n, const float *x, float norm, float scale, float total, float spread,
                             const float *w, bool add, float *g);

struct rv_cpu_loss {
    /* log sum exp of x [n], n >= 1; *weighted: sum of w_c x_c (w NULL: 1), where wanted. */
    float (*log_sum_exp)(int64_t n, const float *x, const float *w, float *weighted);
    /* scale (total e^(x - norm) - spread w) */
    rv_row_gradient *softmax_gradient;
    /* Sum of s(x), s(x) = x + 1 for x >= 0 and 1 / (1 - x) below; *weighted: of w_c log s(x_c), where wanted. */
    float (*stable_sum)(int64_t n, const float *x, const float *w, float *weighted);
    /* scale (total s(x) / norm - spread w) / (1 + |x|), norm that sum */
    rv_row_gradient *stablemax_gradient;
    /* Sum of weight * loss(x, target) over n; *total: of the weights.  weight NULL: 1. */
    double (*point)(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                    double *total);
    /* Gradients of that sum times scale; gx, gtarget, gweight: NULL: not wanted; add [3]. */
    void (*point_gradient)(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                           float scale, float *const gradients[3], const bool add[3]);
};

#endif
