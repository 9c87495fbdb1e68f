/* Max, average and global pooling of channels-last images, vectors over channels. */
#ifndef RV_TENSOR_KERNELS_CPU_POOL_H
#define RV_TENSOR_KERNELS_CPU_POOL_H

#include "tensor/kernels/cpu/cpu.h"

typedef struct rv_pool_shape {
    int64_t n, h, w, c, oh, ow; /* x [n, h, w, c], y [n, oh, ow, c] */
    int size, stride, padding;
} rv_pool_shape;

struct rv_cpu_pool {
    /* where [n, oh, ow, c]: the number of the first largest tap of each window; NULL: not wanted. */
    void (*max_forward)(const rv_pool_shape *shape, const float *x, float *y, int32_t *where);
    /* gx receives the gradient, or has it added. */
    void (*max_backward)(const rv_pool_shape *shape, const int32_t *where, const float *gy, float *gx,
                         bool add);
    void (*average_forward)(const rv_pool_shape *shape, const float *x, float *y);
    void (*average_backward)(const rv_pool_shape *shape, const float *gy, float *gx, bool add);
};

#endif
