/* Sums of squares of gradients and weights.  Invariant: summed in double in a fixed tree. */
#ifndef RV_REAL

#include "optim/norms.h"

typedef struct squares_args {
    bool weights;
} squares_args;

#define RV_KERNEL_FILE "optim/norms.c"
#include "optim/kernel.h"

rv_status rv_run_squares(const rv_run *run, bool weights, double *total, double (*each)[RV_MAX_SUMS])
{
    return rv_run_sum(run, RV_KERNEL_OF(run_squares), &(squares_args){weights}, total, each);
}

#else

RV_TILE_FUNCTION(run_squares, squares_args)
{
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[RV_SQUARES_G]);
    if (a->weights)
        RV_FN(rv_dot)(t->w, t->w, t->n, t->sum[RV_SQUARES_W]);
}
#define RV_KERNEL run_squares
#define RV_KERNEL_ARGS squares_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

#endif
