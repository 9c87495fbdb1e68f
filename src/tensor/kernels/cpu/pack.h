/* Weights rounded to bf16 in the order that dot-product instructions read: blocks of
 * RV_PACK_DEPTH rows by `block` columns, in each the rows by pairs, the two elements of a
 * pair side by side.
 *
 * Element (p, j) of b [k, n] stands at (j / block) * stride + (p / RV_PACK_DEPTH) *
 * RV_PACK_DEPTH * block + (p % RV_PACK_DEPTH / 2) * 2 * block + (j % block) * 2 + p % 2;
 * what lies beyond k and n is zero.  block is a multiple of 16, at most RV_PACK_WIDEST. */
#ifndef RV_TENSOR_KERNELS_CPU_PACK_H
#define RV_TENSOR_KERNELS_CPU_PACK_H

#include "tensor/kernels/cpu/cpu.h"

enum { RV_PACK_DEPTH = 32, RV_PACK_WIDEST = 64 };

struct rv_cpu_pack {
    /* b = w [k, n]. */
    void (*straight)(int64_t k, int64_t n, const float *w, int64_t block, int64_t stride, uint16_t *to);
    /* b = the transpose of w [n, k]. */
    void (*turned)(int64_t k, int64_t n, const float *w, int64_t block, int64_t stride, uint16_t *to);
};

#endif
