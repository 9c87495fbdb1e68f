/* D-Adaptation under five methods: the step size is d, a lower bound of the distance to the solution
 * that grows with what is measured before each step.  Invariant: what is measured runs over all tensors
 * of a method, whatever rules gave them, in double; d is in force from the next step on, and never falls.
 * The equations stand in the descriptors.  Reference: facebookresearch/dadaptation c9849802. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"
#include "optim/norms.h"
#include "optim/rows.h"

typedef struct dadapt_args {
    double e;                      /* the step size */
    double beta1, beta2, q;        /* q: decay of s (beta3 of adan) */
    double rest1, rest2, rest;     /* weights of new samples; rest: of old weights' complement, or 1 - beta3 */
    double push1, push2, push;     /* weights of g in the first mean, in the second and in s */
    double coupled, eps, decay;    /* decay in the gradient; decay of the weights over 1 */
    double keep, shrink, momentum; /* of the weights */
    double before;                 /* 1, or 0 in the first step, where there is no gradient before */
} dadapt_args;

#define RV_KERNEL_FILE "optim/dadapt.c"
#include "optim/kernel.h"

/* ---- parameters ----------------------------------------------------------- */

#define MOMENTUM_ROW(REAL, initial) \
    REAL(momentum, initial, 0, 1, RV_PARAM_OPEN_HI, "share of the old weights in the new ones")
#define EPS_ROW(REAL) REAL(eps, 1e-8, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "added to the denominator")
#define D_ROWS(REAL) RV_HP_D0(REAL) RV_HP_GROWTH(REAL)
#define BETA3_ROW(REAL) \
    REAL(beta3, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squares, and of the sums behind d")
#define NO_PROX_ROW(BOOL) BOOL(no_prox, false, "decay before the step, not as its proximal part")

#define DADAGRAD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    RV_HP_FACTOR(REAL) MOMENTUM_ROW(REAL, 0) RV_HP_EPS(REAL, 1e-6, "added to the denominator") RV_HP_L2(REAL) D_ROWS(REAL)
#define DADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                        \
    RV_HP_FACTOR(REAL) RV_HP_BETA1(REAL, 0.9) RV_HP_BETA2(REAL, 0.999) EPS_ROW(REAL)                       \
    RV_HP_WEIGHT_DECAY(REAL, 0, "times the step size, or L2 without decouple")                             \
    BOOL(decouple, false, "decay the weights themselves, not through the gradient")                        \
    BOOL(use_bias_correction, false, "Adam's bias correction in the step size") D_ROWS(REAL)               \
    REAL(layer_scale, 1, 0, HUGE_VAL, RV_HP_FREE, "factor on the steps of this rule's tensors, known to d")
#define DADAN_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                        \
    RV_HP_FACTOR(REAL) RV_HP_BETA1(REAL, 0.98)                                                             \
    REAL(beta2, 0.92, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradient differences")                 \
    BETA3_ROW(REAL) EPS_ROW(REAL) RV_HP_WEIGHT_DECAY(REAL, 0.02, "decoupled, times the step size")         \
    NO_PROX_ROW(BOOL) D_ROWS(REAL)
#define DLION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                        \
    RV_HP_FACTOR(REAL) REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "share of the momentum in the sign")       \
    REAL(beta2, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the momentum")                                     \
    RV_HP_WEIGHT_DECAY(REAL, 0, "decoupled, times the step size") D_ROWS(REAL)
#define DSGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    RV_HP_FACTOR(REAL) MOMENTUM_ROW(REAL, 0.9) RV_HP_L2(REAL) D_ROWS(REAL)
#define ALL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    DADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) BETA3_ROW(REAL) NO_PROX_ROW(BOOL) MOMENTUM_ROW(REAL, 0)

/* Of all five; what a method does not list is zero and not looked at. */
RV_PARAM_STRUCT(dadapt_params, ALL_PARAMS);
RV_PARAM_TABLE(dadagrad_table, "dadapt_adagrad", dadapt_params, DADAGRAD_PARAMS);
RV_PARAM_TABLE(dadam_table, "dadapt_adam", dadapt_params, DADAM_PARAMS);
RV_PARAM_TABLE(dadan_table, "dadapt_adan", dadapt_params, DADAN_PARAMS);
RV_PARAM_TABLE(dlion_table, "dadapt_lion", dadapt_params, DLION_PARAMS);
RV_PARAM_TABLE(dsgd_table, "dadapt_sgd", dadapt_params, DSGD_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("D-Adaptation", ((const dadapt_params *)params)->growth_rate, err);
}

/* ---- d ---------------------------------------------------------------------- */

enum { D, SUM, FIRST_NORM }; /* scalars; SUM: the numerator r, or G */

static double distance(const rv_run *run)
{
    return rv_distance(run, D, ((const dadapt_params *)run->params)->d0);
}

/* The sum behind d, and d itself from what it says. */
static void estimate(const rv_run *run, double sum, double found)
{
    const double growth = ((const dadapt_params *)run->params)->growth_rate, d = distance(run);
    run->scalars[SUM] = sum;
    run->scalars[D] = rv_distance_grown(d, found, growth);
}

/* ---- AdaGrad ------------------------------------------------------------------ */

/* total: e^2 sum g^2/a, sum s^2/a and sum|s|. */
static rv_status measure_adagrad(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadapt_params *p = run->params;
    const dadapt_args args = {.e = distance(run) * run->lr, .coupled = p->weight_decay, .eps = p->eps};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dadagrad_measure), &args, total, NULL));
    total[0] *= args.e * args.e;
    return RV_OK;
}

static rv_status step_adagrad(const rv_run *run)
{
    const dadapt_params *p = run->params;
    if (run->joint[2] == 0)
        return RV_OK; /* no gradient yet */
    const double squares = run->scalars[SUM] + run->joint[0];
    const dadapt_args args = {.eps = p->eps, .momentum = p->momentum, .rest = 1 - p->momentum};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dadagrad), &args));
    run->scalars[SUM] = squares;
    if (run->lr > 0)
        estimate(run, squares, (run->joint[1] - squares) / run->joint[2]);
    return RV_OK;
}

/* ---- Adam ---------------------------------------------------------------------- */

static double step_size_adam(const rv_run *run)
{
    const dadapt_params *p = run->params;
    const double t = (double)run->step;
    return distance(run) * run->lr *
           (p->use_bias_correction ? sqrt(1 - pow(p->beta2, t)) / (1 - pow(p->beta1, t)) : 1);
}

/* total: e <g, s/(sqrt(v) + eps)> and sum|s|, times the scale of the layer. */
static rv_status measure_adam(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadapt_params *p = run->params;
    const double e = step_size_adam(run), q = sqrt(p->beta2), scale = p->layer_scale;
    if (run->lr == 0)
        return RV_OK;
    const dadapt_args args = {.beta1 = p->beta1,
                              .beta2 = p->beta2,
                              .q = q,
                              .push1 = scale * e * (1 - p->beta1),
                              .rest2 = 1 - p->beta2,
                              .push = e * (1 - q),
                              .coupled = p->decouple ? 0 : p->weight_decay,
                              .eps = p->eps};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dadam_measure), &args, total, NULL));
    total[0] *= scale * e;
    total[1] *= scale;
    return RV_OK;
}

static rv_status step_adam(const rv_run *run)
{
    const dadapt_params *p = run->params;
    if (run->joint[1] == 0)
        return RV_OK; /* no gradient yet, or no learning rate */
    const double q = sqrt(p->beta2), numerator = q * run->scalars[SUM] + (1 - q) * run->joint[0];
    const dadapt_args args = {.eps = p->eps, .decay = p->decouple ? step_size_adam(run) * p->weight_decay : 0};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dadam), &args));
    estimate(run, numerator, numerator / ((1 - q) * run->joint[1]));
    return RV_OK;
}

/* ---- Adan ---------------------------------------------------------------------- */

/* total: (1 - beta3) e^2 sum g^2/a, sum s^2/a and sum|s|. */
static rv_status measure_adan(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadapt_params *p = run->params;
    const double e = distance(run) * run->lr;
    const dadapt_args args = {.beta1 = p->beta1,
                              .beta2 = p->beta2,
                              .q = p->beta3,
                              .push1 = e * (1 - p->beta1),
                              .push2 = e * (1 - p->beta2),
                              .rest = 1 - p->beta3,
                              .push = e * (1 - p->beta3),
                              .eps = p->eps,
                              .before = run->step > 1};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dadan_measure), &args, total, NULL));
    total[0] *= e * e * (1 - p->beta3);
    return RV_OK;
}

static rv_status step_adan(const rv_run *run)
{
    const dadapt_params *p = run->params;
    if (run->joint[2] == 0)
        return RV_OK; /* no gradient yet */
    const double decay = distance(run) * run->lr * p->weight_decay;
    const double squares = p->beta3 * run->scalars[SUM] + run->joint[0];
    const dadapt_args args = {.beta2 = p->beta2,
                              .eps = p->eps,
                              .keep = p->no_prox ? 1 - decay : 1,
                              .shrink = p->no_prox ? 1 : 1 + decay};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dadan), &args));
    run->scalars[SUM] = squares;
    if (run->lr > 0)
        estimate(run, squares, (run->joint[1] / (1 - p->beta3) - squares) / run->joint[2]);
    return RV_OK;
}

/* ---- Lion ---------------------------------------------------------------------- */

/* The whole step but for d, which acts in the next one: total: e <u, s> and sum|s|. */
static rv_status measure_lion(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadapt_params *p = run->params;
    const double e = distance(run) * run->lr, q = sqrt(p->beta2);
    const dadapt_args args = {.keep = 1 - e * p->weight_decay,
                              .e = e,
                              .beta1 = p->beta1,
                              .rest1 = 1 - p->beta1,
                              .beta2 = p->beta2,
                              .push2 = (1 - p->beta2) * e,
                              .q = q,
                              .push = (1 - q) * e};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dlion), &args, total, NULL));
    total[0] *= e;
    return RV_OK;
}

static rv_status step_lion(const rv_run *run)
{
    if (run->joint[1] == 0 || run->lr == 0)
        return RV_OK;
    const double q = sqrt(((const dadapt_params *)run->params)->beta2);
    const double numerator = q * run->scalars[SUM] + (1 - q) * run->joint[0];
    estimate(run, numerator, numerator / ((1 - q) * run->joint[1]));
    return RV_OK;
}

/* ---- gradient descent ------------------------------------------------------------ */

enum { NORM_PASS, SUM_PASS };

/* First pass: ||g||^2, while ||g_1|| is not known.  Second: e <g, s> and ||s||^2. */
static rv_status measure_sgd(const rv_run *run, int pass, double *total)
{
    dadapt_args args = {.coupled = ((const dadapt_params *)run->params)->weight_decay};
    if (run->lr == 0)
        return RV_OK;
    if (pass == NORM_PASS)
        return run->scalars[FIRST_NORM] > 0 ? RV_OK : rv_run_squares(run, false, total, NULL);
    if (run->scalars[FIRST_NORM] <= 0)
        run->scalars[FIRST_NORM] = sqrt(run->joint[RV_SQUARES_G]);
    if (run->scalars[FIRST_NORM] <= 0)
        return RV_OK;
    args.e = distance(run) * run->lr / run->scalars[FIRST_NORM];
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dsgd_measure), &args, total, NULL));
    total[0] *= args.e;
    return RV_OK;
}

static rv_status step_sgd(const rv_run *run)
{
    const dadapt_params *p = run->params;
    if (run->joint[1] == 0)
        return RV_OK; /* no gradient yet, or no learning rate */
    const double numerator = run->scalars[SUM] + run->joint[0];
    const dadapt_args args = {.momentum = p->momentum, .rest = 1 - p->momentum};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dsgd), &args));
    estimate(run, numerator, 2 * numerator / sqrt(run->joint[1]));
    return RV_OK;
}

/* ---- the descriptors --------------------------------------------------------- */

#include "optim/dadapt_methods.h"

#else

#include "optim/dadapt_real.h"

#endif
