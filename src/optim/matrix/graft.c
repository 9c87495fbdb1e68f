/* Grafted methods.  Invariant: where f is 0 the direction is 0, whatever epsilon is. */
#ifndef RV_REAL

#include <math.h>

#include "optim/matrix/blocks.h"
#include "optim/matrix/graft.h"

typedef struct rule {
    bool squares, averages, corrected; /* keeps squares; as a mean, not a sum; with bias correction */
} rule;

static const rule rules[] = {
    [RV_GRAFT_NONE] = {0},
    [RV_GRAFT_SGD] = {0},
    [RV_GRAFT_ADAGRAD] = {true, false, false},
    [RV_GRAFT_RMSPROP] = {true, true, false},
    [RV_GRAFT_ADAM] = {true, true, true},
};

bool rv_graft_has_squares(int grafting)
{
    return rules[grafting].squares;
}

rv_graft rv_graft_at(int grafting, double beta2, double epsilon, int64_t step)
{
    const rule *r = &rules[grafting];
    return (rv_graft){.squares = r->squares,
                      .keep = r->averages ? beta2 : 1,
                      .weight = r->averages ? 1 - beta2 : 1,
                      .root = r->corrected ? 1 / sqrt(1 - pow(beta2, (double)step)) : 1,
                      .epsilon = epsilon};
}

#define RV_KERNEL_FILE "optim/matrix/graft.c"
#include "optim/kernel.h"

#else
#include "optim/matrix/typed.h"

void RV_FN(rv_graft_direction)(const rv_graft *graft, const RV_REAL *g, const RV_REAL *f, RV_REAL *squares, RV_REAL *p,
                               int64_t n)
{
    const RV_REAL keep = (RV_REAL)graft->keep, weight = (RV_REAL)graft->weight;
    const RV_REAL root = (RV_REAL)graft->root, epsilon = (RV_REAL)graft->epsilon;
    if (!graft->squares) {
        memcpy(p, f, (size_t)n * sizeof *p);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        squares[i] = keep * squares[i] + weight * g[i] * g[i];
        p[i] = f[i] != 0 ? f[i] / (root * RV_MATH(sqrt)(squares[i]) + epsilon) : 0;
    }
}

void RV_FN(rv_graft_rescale)(RV_REAL *x, const RV_REAL *graft, int64_t n)
{
    const RV_REAL scale = (RV_REAL)(RV_FN(rv_length)(graft, n) / (RV_FN(rv_length)(x, n) + 1e-16));
    for (int64_t i = 0; i < n; i++)
        x[i] *= scale;
}

#endif
