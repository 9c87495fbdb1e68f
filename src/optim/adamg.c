/* AdamG, parameter-free by a bound of the step and a golden step size, in AlgoPerf's form.
 *     v <- beta2 v + (1 - beta2) g^2;  n <- beta3 n + (1 - beta3) p v^q
 *     m <- beta1 m + (1 - beta1) n g;  s = min(lr, 1/sqrt(t))
 *     w <- w (1 - s weight_decay) - s m/(1 - beta1^t) / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 * Reference: mlcommons/submissions_algorithms algoperf_v05 self_tuning/adamg 12c8e4ea.
 * Deviations: none; v^q is that of power.h for floats, the C library's pow for doubles. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/power.h"
#include "optim/rows.h"

typedef struct adamg_args {
    double keep, beta1, beta2, beta3, rest1, rest2, gain, q; /* gain: (1 - beta3) p */
    double rate, root, eps;
    rv_power power; /* of q */
} adamg_args;

#define RV_KERNEL_FILE "optim/adamg.c"
#include "optim/kernel.h"

#define ADAMG_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                    \
    REAL(lr, 1, 0, HUGE_VAL, RV_HP_FREE, "upper bound of the step size, beside 1/sqrt(t)") \
    REAL(beta1, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of scaled gradients") \
    RV_HP_BETA2(REAL, 0.999)                                                           \
    REAL(beta3, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of the numerator")    \
    REAL(p, 0.2, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "factor of the numerator p v^q")       \
    REAL(q, 0.24, 0, 1, 0, "power of the numerator")                                   \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "added to the denominator after bias correction") \
    RV_HP_WEIGHT_DECAY(REAL, 0, "decoupled, times the step size")
RV_PARAM_STRUCT(adamg_params, ADAMG_PARAMS);
RV_PARAM_TABLE(adamg_table, "adamg", adamg_params, ADAMG_PARAMS);

static rv_status step(const rv_run *run)
{
    const adamg_params *p = run->params;
    const double t = (double)run->step, s = fmin(run->lr, 1 / sqrt(t));
    const adamg_args args = {.keep = 1 - s * p->weight_decay,
                             .beta1 = p->beta1,
                             .beta2 = p->beta2,
                             .beta3 = p->beta3,
                             .rest1 = 1 - p->beta1,
                             .rest2 = 1 - p->beta2,
                             .gain = (1 - p->beta3) * p->p,
                             .q = p->q,
                             .power = rv_power_of(p->q),
                             .rate = s / (1 - pow(p->beta1, t)),
                             .root = 1 / sqrt(1 - pow(p->beta2, t)),
                             .eps = p->eps};
    return rv_run_map(run, RV_KERNEL_OF(adamg), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"n", rv_slot_like, false}};

const rv_method rv_method_adamg = {
    .info = {.name = "adamg",
             .version = 1,
             .title = "AdamG: Adam with a golden step size",
             .equations = "v <- beta2 v + (1 - beta2) g^2;  n <- beta3 n + (1 - beta3) p v^q\n"
                          "m <- beta1 m + (1 - beta1) n g;  s = min(lr, 1/sqrt(t))\n"
                          "w <- w (1 - s weight_decay) - s m/(1 - beta1^t) / (sqrt(v)/sqrt(1 - beta2^t) + eps)",
             .paper = "Pan & Zhong 2024, Towards stability of parameter-free optimization",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v05/submissions/"
                          "self_tuning/adamg/submission.py",
             .deviations = "none (amsgrad is not offered); v^q in double is the C library's pow, so bits of a float64 run may differ "
                           "between C libraries; in float it is our own, within 2 units in the last place",
             .params = &adamg_table,
             .state = "m, v, n: like the tensor",
             .bytes_per_parameter = 12},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .step = step,
};

#else

RV_TILE_FUNCTION(adamg, adamg_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, rate = (RV_REAL)a->rate, root = (RV_REAL)a->root, eps = (RV_REAL)a->eps;
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, beta3 = (RV_REAL)a->beta3;
    const RV_REAL rest1 = (RV_REAL)a->rest1, rest2 = (RV_REAL)a->rest2;
    const RV_REAL gain = (RV_REAL)a->gain, q = (RV_REAL)a->q;
    const rv_power power = a->power;
    RV_REAL *m = t->s[0], *v = t->s[1], *n = t->s[2];
    RV_EACH (i, t->n) {
        v[i] = beta2 * v[i] + rest2 * t->g[i] * t->g[i];
        const RV_REAL raised = sizeof(RV_REAL) == sizeof(float) ? (RV_REAL)rv_power_at((float)v[i], power) : (RV_REAL)pow((double)v[i], (double)q);
        n[i] = beta3 * n[i] + gain * raised;
    }
    RV_EACH (i, t->n) {
        m[i] = beta1 * m[i] + rest1 * n[i] * t->g[i];
        t->out[i] = keep * t->w[i] - rate * m[i] / (RV_MATH(sqrt)(v[i]) * root + eps);
    }
}
#define RV_KERNEL adamg
#define RV_KERNEL_ARGS adamg_args
#include "optim/kernel_loop.h"

#endif
