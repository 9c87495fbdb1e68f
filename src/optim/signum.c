/* Sign descent, plain (signsgd) and along the mean of gradients (signum).
 *     m <- beta1 m + (1 - beta1) g;  w <- w - lr (sign(m) + weight_decay w);  sign(0) = 0
 * Reference: derived from the formula.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct signum_args {
    double lr, keep, beta1, rest1;
} signum_args;

#define RV_KERNEL_FILE "optim/signum.c"
#include "optim/kernel.h"

#define SIGNSGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) RV_HP_LR(REAL, 1e-3) RV_HP_DECOUPLED(REAL, 0)
#define SIGNUM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    RV_HP_LR(REAL, 1e-3) RV_HP_BETA1(REAL, 0.9) RV_HP_DECOUPLED(REAL, 0)
RV_PARAM_STRUCT(signum_params, SIGNUM_PARAMS); /* signsgd leaves beta1 alone */
RV_PARAM_TABLE(signum_table, "signum", signum_params, SIGNUM_PARAMS);
RV_PARAM_TABLE(signsgd_table, "signsgd", signum_params, SIGNSGD_PARAMS);

static rv_status step(const rv_run *run)
{
    const signum_params *p = run->params;
    const signum_args args = {
        .lr = run->lr, .keep = 1 - run->lr * p->weight_decay, .beta1 = p->beta1, .rest1 = 1 - p->beta1};
    return rv_run_map(run, RV_KERNEL_OF(signum), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}};

const rv_method rv_method_signsgd = {
    .info = {.name = "signsgd",
             .version = 1,
             .title = "Sign descent",
             .equations = "w <- w - lr (sign(g) + weight_decay w);  sign(0) = 0",
             .paper = "Bernstein et al. 2018, signSGD: compressed optimisation for non-convex problems",
             .reference = "derived from the formula",
             .deviations = "none; decay as in the authors' Signum for MXNet",
             .params = &signsgd_table,
             .state = "none",
             .bytes_per_parameter = 0},
    .tolerance = 1e-12,
    .step = step,
};

const rv_method rv_method_signum = {
    .info = {.name = "signum",
             .version = 1,
             .title = "Sign descent along the mean of gradients",
             .equations = "m <- beta1 m + (1 - beta1) g\n"
                          "w <- w - lr (sign(m) + weight_decay w);  sign(0) = 0",
             .paper = "Bernstein et al. 2018, signSGD: compressed optimisation for non-convex problems, algorithm 2",
             .reference = "derived from the formula",
             .deviations = "none; decay as in the authors' Signum for MXNet",
             .params = &signum_table,
             .state = "m: like the tensor",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(signum, signum_args)
{
    const RV_REAL lr = (RV_REAL)a->lr, keep = (RV_REAL)a->keep;
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    RV_REAL *m = t->s[0];
    const RV_REAL *along = m ? m : t->g;
    if (m)
        RV_EACH (i, t->n)
            m[i] = beta1 * m[i] + rest1 * t->g[i];
    RV_EACH (i, t->n)
        t->out[i] = keep * t->w[i] - lr * RV_FN(rv_sign)(along[i]);
}
#define RV_KERNEL signum
#define RV_KERNEL_ARGS signum_args
#include "optim/kernel_loop.h"

#endif
