/* Sums, products and scaling of arrays; the second operand may repeat.
 *
 * b [m] meets x [n] with element i at b[i mod m]; n is a multiple of m. */
#ifndef RV_TENSOR_KERNELS_CPU_ELEMENTWISE_H
#define RV_TENSOR_KERNELS_CPU_ELEMENTWISE_H

#include "tensor/kernels/cpu/cpu.h"

enum { RV_TREE_MOST = 64 };

struct rv_cpu_elementwise {
    /* y = a + b; y may be a. */
    void (*add)(size_t n, size_t m, const float *a, const float *b, float *y);
    /* y (+)= a b; y may be a. */
    void (*multiply)(size_t n, size_t m, const float *a, const float *b, float *y, bool add);
    /* y (+)= factor x, x [m], y [n]; y may be x when n = m. */
    void (*scale)(size_t n, size_t m, float factor, const float *x, float *y, bool add);
    /* y [m] (+)= factor times the sum of the n / m rows of x, or of x w (w [n] or NULL).
     * Rows are summed in blocks, so the error grows with the number of blocks. */
    void (*fold)(size_t n, size_t m, float factor, const float *x, const float *w, float *y, bool add);
    /* y [n] = factor ((x0 + x1) + (x2 + x3)) ..., the arrays [count] from x [n] on added in a
     * binary tree, count a power of two up to RV_TREE_MOST.  Tells whether all of y is finite. */
    bool (*tree)(size_t n, int count, const float *const *x, float factor, float *y);
};

#endif
