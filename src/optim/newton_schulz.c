/* Newton-Schulz orthogonalisation.  Invariant: all products of x with itself are taken on
 * its short side, and symmetric ones are computed as such. */
#ifndef RV_REAL

#include "optim/newton_schulz.h"

enum { MOST_TRIPLES = 5 };

/* x is first divided by max(stretch ||x|| + added, least). */
typedef struct polar_set {
    double stretch, added, least;
    int triples;
    double c[MOST_TRIPLES][3];
} polar_set;

static const polar_set sets[RV_POLAR_COUNT] = {
    [RV_POLAR_MUON] = {1, 1e-7, 0, 1, {{3.4445, -4.7750, 2.0315}}},
    [RV_POLAR_EXPRESS] = {1.02, 1e-6, 0, 5,
                          {{8.156554524902461, -22.48329292557795, 15.878769915207462},
                           {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                           {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                           {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                           {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}}},
    [RV_POLAR_PRESET] = {1, 1e-7, 0, 5,
                         {{4.0848, -6.8946, 2.9270},
                          {3.9505, -6.3029, 2.6377},
                          {3.7418, -5.5913, 2.3037},
                          {2.8769, -3.1427, 1.2046},
                          {2.8366, -3.0525, 1.2012}}},
    [RV_POLAR_MODULA] = {1, 1e-7, 0, 1, {{3, -16.0 / 5, 6.0 / 5}}},
    [RV_POLAR_SHAMPOO] = {1, 0, 1e-8, 1, {{3.4445, -4.7750, 2.0315}}},
};

size_t rv_newton_schulz_size(int64_t rows, int64_t cols)
{
    const size_t small = (size_t)(rows < cols ? rows : cols);
    return 2 * small * small + (size_t)(rows * cols);
}

#define RV_KERNEL_FILE "optim/newton_schulz.c"
#include "optim/kernel.h"

#else

/* y <- (c0 I + c1 A + c2 A^2) x with A = x x' on the short side n; a, b are [n, n]. */
static void RV_FN(polynomial)(const rv_team *team, const double *c, const RV_REAL *x, RV_REAL *y, int64_t n, int64_t m,
                              bool wide, RV_REAL *a, RV_REAL *b)
{
    RV_FN(rv_gram)(team, n, m, x, !wide, true, 1, 0, a);
    RV_FN(rv_square)(team, n, a, c[2], c[1], b);
    if (wide)
        RV_FN(rv_multiply)(team, n, m, n, b, false, x, false, 1, c[0], x, y);
    else
        RV_FN(rv_multiply)(team, m, n, n, x, false, b, false, 1, c[0], x, y);
}

void RV_FN(rv_polar)(const rv_team *team, rv_polar set, RV_REAL *x, int64_t rows, int64_t cols, int steps, RV_REAL *work)
{
    const polar_set *p = &sets[set];
    const bool wide = rows <= cols;
    const int64_t n = wide ? rows : cols, m = wide ? cols : rows, size = rows * cols;
    RV_REAL *a = work, *b = a + n * n, *from = x, *to = b + n * n;
    double lane[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(x, x, size, lane);
    const double norm = p->stretch * sqrt(RV_FN(rv_lanes)(lane)) + p->added;
    const RV_REAL scale = (RV_REAL)(1 / fmax(norm, p->least));
    for (int64_t i = 0; i < size; i++)
        x[i] *= scale;
    for (int k = 0; k < steps; k++) {
        RV_FN(polynomial)(team, p->c[k < p->triples ? k : p->triples - 1], from, to, n, m, wide, a, b);
        RV_REAL *swap = from;
        from = to;
        to = swap;
    }
    if (from != x)
        memcpy(x, from, (size_t)size * sizeof *x);
}

void RV_FN(rv_newton_schulz)(const rv_team *team, RV_REAL *x, int64_t rows, int64_t cols, int steps, RV_REAL *work)
{
    RV_FN(rv_polar)(team, RV_POLAR_MUON, x, rows, cols, steps, work);
}

#endif
