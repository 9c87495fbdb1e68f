/* Gradient descent with D-Adaptation, momentum by averaging.
 *     e = d lr / ||g_1||;  g <- g + weight_decay w
 *     r <- r + e <g, s>;  s <- s + e g;  d <- max(d, 2 r / ||s||)
 *     w <- momentum w + (1 - momentum) (x0 - s)
 * Norms and products run over all tensors of the method, whatever rules gave them, in double.
 * Reference: facebookresearch/dadaptation dadapt_sgd.py c9849802.  Deviation: ||g_1|| is that
 * of the first gradient that is not zero. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"

typedef struct dsgd_args {
    double rate, coupled, momentum, rest;
} dsgd_args;

#define RV_KERNEL_FILE "optim/dadapt_sgd.c"
#include "optim/kernel.h"

#define DSGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the step size that is found") \
    REAL(momentum, 0.9, 0, 1, RV_PARAM_OPEN_HI, "share of the old weights in the new ones")            \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the gradient (L2)")  \
    REAL(d0, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "first estimate of the distance") \
    REAL(growth_rate, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "largest growth of d in a step; 0: no limit")
RV_PARAM_STRUCT(dsgd_params, DSGD_PARAMS);
RV_PARAM_TABLE(dsgd_table, "dadapt_sgd", dsgd_params, DSGD_PARAMS);

enum { D, NUMERATOR, FIRST_NORM };
enum { NORM_PASS, SUM_PASS };

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("dadapt_sgd", ((const dsgd_params *)params)->growth_rate, err);
}

/* First pass: ||g||^2, while ||g_1|| is not known.  Second: e <g, s> and ||s||^2. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    const dsgd_params *p = run->params;
    dsgd_args args = {.coupled = p->weight_decay};
    if (run->lr == 0)
        return RV_OK;
    if (pass == NORM_PASS)
        return run->scalars[FIRST_NORM] > 0 ? RV_OK
                                            : rv_run_sum(run, RV_KERNEL_OF(dsgd_norm), &args, total, NULL);
    if (run->scalars[FIRST_NORM] <= 0)
        run->scalars[FIRST_NORM] = sqrt(run->joint[0]);
    if (run->scalars[FIRST_NORM] <= 0)
        return RV_OK;
    args.rate = rv_distance(run, D, p->d0) * run->lr / run->scalars[FIRST_NORM];
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dsgd_measure), &args, total, NULL));
    total[0] *= args.rate;
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const dsgd_params *p = run->params;
    if (run->joint[1] == 0)
        return RV_OK; /* no gradient yet, or no learning rate */
    const double numerator = run->scalars[NUMERATOR] + run->joint[0];
    const dsgd_args args = {.momentum = p->momentum, .rest = 1 - p->momentum};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dsgd), &args));
    run->scalars[NUMERATOR] = numerator;
    run->scalars[D] =
        rv_distance_grown(rv_distance(run, D, p->d0), 2 * numerator / sqrt(run->joint[1]), p->growth_rate);
    return RV_OK;
}

static const rv_slot slots[] = {{"s", rv_slot_like, false}, {"x0", rv_slot_like, true}};
static const char *const scalars[] = {"d", "numerator", "first_norm"};

const rv_method rv_method_dadapt_sgd = {
    .info = {.name = "dadapt_sgd",
             .version = 1,
             .title = "Gradient descent with D-Adaptation",
             .equations = "e = d lr / ||g_1||;  g <- g + weight_decay w\n"
                          "r <- r + e <g, s>;  s <- s + e g\n"
                          "w <- momentum w + (1 - momentum) (x0 - s)\n"
                          "d <- max(d, 2 r / ||s||), at most growth_rate d\n"
                          "norms and products run over all tensors that any rule gives to dadapt_sgd",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation, algorithm 4",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_sgd.py",
             .deviations = "||g_1|| is that of the first gradient that is not zero (the reference divides by zero); as "
                           "there, without weight decay; growth_rate 0 stands for infinity; default momentum 0.9 (there "
                           "0); sums in double",
             .params = &dsgd_table,
             .state = "s: like the tensor; x0: like the tensor, the first weights; d, numerator, first_norm: scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-11,
    .slots = slots,
    .slot_count = 2,
    .scalars = scalars,
    .scalar_count = 3,
    .check = check,
    .measure = measure,
    .passes = 2,
    .step = step,
};

#else

RV_TILE_FUNCTION(dsgd_norm, dsgd_args)
{
    (void)a;
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[0]);
}
#define RV_KERNEL dsgd_norm
#define RV_KERNEL_ARGS dsgd_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dsgd_measure, dsgd_args)
{
    const RV_REAL rate = (RV_REAL)a->rate, coupled = (RV_REAL)a->coupled;
    RV_REAL *s = t->s[0], grad[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n)
        grad[i] = t->g[i] + coupled * t->w[i];
    RV_FN(rv_dot)(grad, s, t->n, t->sum[0]);
    RV_EACH (i, t->n)
        s[i] += rate * grad[i];
    RV_FN(rv_dot)(s, s, t->n, t->sum[1]);
}
#define RV_KERNEL dsgd_measure
#define RV_KERNEL_ARGS dsgd_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dsgd, dsgd_args)
{
    const RV_REAL momentum = (RV_REAL)a->momentum, rest = (RV_REAL)a->rest;
    RV_REAL *s = t->s[0], *x0 = t->s[1];
    RV_EACH (i, t->n)
        t->out[i] = momentum * t->w[i] + rest * (x0[i] - s[i]);
}
#define RV_KERNEL dsgd
#define RV_KERNEL_ARGS dsgd_args
#include "optim/kernel_loop.h"

#endif
