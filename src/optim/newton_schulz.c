/* Newton-Schulz orthogonalisation.  Invariant: all products of x with itself are taken on
 * its short side, and symmetric ones are computed as such. */
#ifndef RV_REAL

#include <cblas.h>

#include "optim/newton_schulz.h"

size_t rv_newton_schulz_size(int64_t rows, int64_t cols)
{
    const size_t small = (size_t)(rows < cols ? rows : cols);
    return 2 * small * small + (size_t)(rows * cols);
}

#define RV_KERNEL_FILE "optim/newton_schulz.c"
#include "optim/kernel.h"

#else

/* Copies the lower triangle of a [n, n] to the upper one. */
static void RV_FN(mirror)(RV_REAL *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            a[(int64_t)j * n + i] = a[(int64_t)i * n + j];
}

/* y <- c0 x + (c1 A + c2 A^2) x with A = x x' on the short side n; a, b are [n, n]. */
static void RV_FN(polynomial)(const RV_REAL *x, RV_REAL *y, int n, int m, bool wide, RV_REAL *a, RV_REAL *b)
{
    const RV_REAL c0 = (RV_REAL)3.4445, c1 = (RV_REAL)-4.7750, c2 = (RV_REAL)2.0315;
    const CBLAS_TRANSPOSE flip = wide ? CblasNoTrans : CblasTrans;
    const int ld = wide ? m : n;
    RV_BLAS(syrk)(CblasRowMajor, CblasLower, flip, n, m, 1, x, ld, 0, a, n);
    RV_FN(mirror)(a, n);
    memcpy(b, a, (size_t)n * (size_t)n * sizeof *b);
    RV_BLAS(syrk)(CblasRowMajor, CblasLower, CblasNoTrans, n, n, c2, a, n, c1, b, n);
    memcpy(y, x, (size_t)n * (size_t)m * sizeof *y);
    RV_BLAS(symm)(CblasRowMajor, wide ? CblasLeft : CblasRight, CblasLower, wide ? n : m, wide ? m : n, 1, b, n, x,
                  ld, c0, y, ld);
}

void RV_FN(rv_newton_schulz)(RV_REAL *x, int64_t rows, int64_t cols, int steps, RV_REAL *work)
{
    const bool wide = rows <= cols;
    const int n = (int)(wide ? rows : cols), m = (int)(wide ? cols : rows);
    const int64_t size = rows * cols;
    RV_REAL *a = work, *b = a + (int64_t)n * n, *from = x, *to = b + (int64_t)n * n;
    double lane[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(x, x, size, lane);
    const RV_REAL scale = (RV_REAL)(1 / (sqrt(RV_FN(rv_lanes)(lane)) + 1e-7));
    for (int64_t i = 0; i < size; i++)
        x[i] *= scale;
    for (int k = 0; k < steps; k++) {
        RV_FN(polynomial)(from, to, n, m, wide, a, b);
        RV_REAL *swap = from;
        from = to;
        to = swap;
    }
    if (from != x)
        memcpy(x, from, (size_t)size * sizeof *x);
}

#endif
