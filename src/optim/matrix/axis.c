/* Products along one axis of a tensor, and blocks to and from contiguous memory.
 * Invariant: a sum runs in the same order for every shape [outer, d, inner] it is cut from. */
#ifndef RV_REAL

#include "optim/matrix/blocks.h"
#include "optim/matrix/graft.h"
#include "optim/products.h"

#define RV_KERNEL_FILE "optim/matrix/axis.c"
#include "optim/kernel.h"

#else
#include "optim/matrix/typed.h"

RV_FN(rv_axis) RV_FN(rv_axis_of)(const rv_subblock *b, int axis)
{
    RV_FN(rv_axis) a = {.outer = 1, .inner = 1, .factor = rv_block_factors_before(b, axis), .d = (int)b->length[axis]};
    for (int k = 0; k < axis; k++)
        a.outer *= b->length[k];
    for (int k = axis + 1; k < b->rank; k++)
        a.inner *= b->length[k];
    return a;
}

void RV_FN(rv_block_gather)(RV_REAL *to, const RV_REAL *from, const rv_subblock *b)
{
    for (int64_t row = 0; row < b->rows; row++)
        memcpy(to + row * b->columns, from + rv_block_offset(b, row), (size_t)b->columns * sizeof *to);
}

void RV_FN(rv_block_scatter)(RV_REAL *to, const RV_REAL *from, const rv_subblock *b)
{
    for (int64_t row = 0; row < b->rows; row++)
        memcpy(to + rv_block_offset(b, row), from + row * b->columns, (size_t)b->columns * sizeof *to);
}

/* Squares of g summed over all but the axis. */
static void RV_FN(gram_diagonal)(RV_REAL *factor, const RV_REAL *g, int64_t outer, int d, int64_t inner, double keep,
                                 double weight)
{
    for (int64_t j = 0; j < d; j++) {
        double sum = 0;
        for (int64_t i = 0; i < outer; i++)
            for (int64_t k = 0; k < inner; k++) {
                const double x = (double)g[(i * d + j) * inner + k];
                sum += x * x;
            }
        factor[j] = (RV_REAL)(keep * (double)factor[j] + weight * sum);
    }
}

void RV_FN(rv_axis_gram)(const rv_team *team, RV_REAL *factor, const RV_REAL *g, int64_t outer, int d, int64_t inner,
                         double keep, double weight, bool diagonal)
{
    if (diagonal) {
        RV_FN(gram_diagonal)(factor, g, outer, d, inner, keep, weight);
        return;
    }
    if (inner == 1) {
        RV_FN(rv_gram)(team, d, outer, g, true, false, weight, keep, factor);
        return;
    }
    for (int64_t i = 0; i < outer; i++)
        RV_FN(rv_gram)(team, d, inner, g + i * d * inner, false, false, weight, i == 0 ? keep : 1, factor);
}

void RV_FN(rv_axis_apply)(const rv_team *team, const RV_REAL *matrix, bool transposed, const RV_REAL *from, RV_REAL *to,
                          int64_t outer, int d, int64_t inner)
{
    if (inner == 1) { /* rows of length d: every one times the matrix' */
        RV_FN(rv_multiply)(team, outer, d, d, from, false, matrix, !transposed, 1, 0, NULL, to);
        return;
    }
    for (int64_t i = 0; i < outer; i++)
        RV_FN(rv_multiply)(team, d, inner, d, matrix, transposed, from + i * d * inner, false, 1, 0, NULL,
                           to + i * d * inner);
}

void RV_FN(rv_axis_scale)(const RV_REAL *diagonal, const RV_REAL *from, RV_REAL *to, int64_t outer, int d,
                          int64_t inner)
{
    for (int64_t i = 0; i < outer * d; i++)
        for (int64_t k = 0; k < inner; k++)
            to[i * inner + k] = from[i * inner + k] * diagonal[i % d];
}

double RV_FN(rv_length)(const RV_REAL *x, int64_t n)
{
    double lane[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(x, x, n, lane);
    return sqrt(RV_FN(rv_lanes)(lane));
}

void RV_FN(rv_widen_lower)(double *to, const RV_REAL *a, int d, double scale)
{
    for (int64_t i = 0; i < d; i++)
        for (int64_t j = 0; j <= i; j++)
            to[i * d + j] = to[j * d + i] = (double)a[i * d + j] * scale;
}

void RV_FN(rv_narrow)(RV_REAL *to, const double *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (RV_REAL)from[i];
}

#endif
