/* Quasi-hyperbolic momentum: a step between the gradient and its running mean.
 *     b <- beta1 b + (1 - beta1) g;  w <- w - lr ((1 - nu) g + nu b)
 * Reference: Ma & Yarats 2019, Quasi-hyperbolic momentum and Adam for deep learning, algorithm 1.
 * Deviations: none.  This is the worked example of docs/optimizers.md. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct qhm_args { /* what the kernel needs: computed once per step, in double */
    double beta1, rest1, of_gradient, of_mean;
} qhm_args;

#define RV_KERNEL_FILE "optim/qhm.c" /* compiles the second half of this file for float and for double */
#include "optim/kernel.h"

#define QHM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    RV_HP_LR(REAL, 1.0)                           \
    RV_HP_BETA1(REAL, 0.999)                      \
    REAL(nu, 0.7, 0, 1, 0, "share of the mean in the step; 0: gradient descent")
RV_PARAM_STRUCT(qhm_params, QHM_PARAMS);
RV_PARAM_TABLE(qhm_table, "qhm", qhm_params, QHM_PARAMS);

static rv_status step(const rv_run *run)
{
    const qhm_params *p = run->params;
    const qhm_args args = {.beta1 = p->beta1,
                           .rest1 = 1 - p->beta1,
                           .of_gradient = run->lr * (1 - p->nu),
                           .of_mean = run->lr * p->nu};
    return rv_run_map(run, RV_KERNEL_OF(qhm), &args);
}

static const rv_slot slots[] = {{"b", rv_slot_like, false}};

const rv_method rv_method_qhm = {
    .info = {.name = "qhm",
             .version = 1,
             .title = "Quasi-hyperbolic momentum",
             .equations = "b <- beta1 b + (1 - beta1) g\n"
                          "w <- w - lr ((1 - nu) g + nu b)",
             .paper = "Ma & Yarats 2019, Quasi-hyperbolic momentum and Adam for deep learning, algorithm 1",
             .reference = "derived from the formula",
             .deviations = "none",
             .params = &qhm_table,
             .state = "b: like the tensor",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(qhm, qhm_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    const RV_REAL of_gradient = (RV_REAL)a->of_gradient, of_mean = (RV_REAL)a->of_mean;
    RV_REAL *b = t->s[0];
    RV_EACH (i, t->n) {
        b[i] = beta1 * b[i] + rest1 * t->g[i];
        t->out[i] = t->w[i] - (of_gradient * t->g[i] + of_mean * b[i]);
    }
}
#define RV_KERNEL qhm
#define RV_KERNEL_ARGS qhm_args
#include "optim/kernel_loop.h"

#endif
