/* The generalized Adam of an AlgoPerf submission, and NAdamP: Adam with any root of the second
 * moment, with or without Nesterov's mixture, or no preconditioning at all.
 *     u = n / ((v/(1 - beta2^t) + eps_root)^(1/power) + eps);  w <- w - lr (u + weight_decay w)
 *     n = (beta1 m + (1 - beta1) g)/(1 - beta1^t) with nesterov, else m (not corrected for bias)
 *     precondition false: m <- beta1 m + g;  u = g + beta1 m with nesterov, else m
 * Reference: mlcommons/submissions_algorithms 12c8e4ea, generalized_adam and nadamp submission.py.
 * Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct general_args {
    rv_moments moments;
    double keep, lr;
    double own, look;       /* n = own m + look g */
    double spread;          /* 1/(1 - beta2^t) */
    double eps_root, power; /* power: 1/p */
    bool square_root, trace;
} general_args;

#define RV_KERNEL_FILE "optim/generalized_adam.c"
#include "optim/kernel.h"

#define GENERAL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                               \
    RV_HP_LR(REAL, 1e-3)                                                                            \
    RV_HP_BETA1(REAL, 0.9)                                                                          \
    RV_HP_BETA2(REAL, 0.999)                                                                        \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment after bias correction")           \
    REAL(eps_root, 0, 0, HUGE_VAL, RV_HP_FREE, "added under the root")                              \
    REAL(power, 2, 1, 100, 0, "which root of the second moment; NAdamP tunes it")                   \
    BOOL(nesterov, true, "mix the gradient into its mean, and correct that for bias")               \
    BOOL(precondition, true, "divide by the root; else momentum alone")                             \
    RV_HP_DECOUPLED(REAL, 0)
RV_PARAM_STRUCT(general_params, GENERAL_PARAMS);
RV_PARAM_TABLE(general_table, "generalized_adam", general_params, GENERAL_PARAMS);

static bool second_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const general_params *)params)->precondition && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const general_params *p = run->params;
    general_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                         .keep = 1 - run->lr * p->weight_decay,
                         .lr = run->lr,
                         .own = p->nesterov ? p->beta1 : 1,
                         .look = p->nesterov ? 1 - p->beta1 : 0,
                         .eps_root = p->eps_root,
                         .power = 1 / p->power,
                         .square_root = p->power == 2,
                         .trace = !p->precondition};
    args.spread = 1 / args.moments.bias2;
    if (args.trace) {
        args.moments.rest1 = 1;
        args.look = p->nesterov ? 1 : 0;
    } else if (p->nesterov) {
        args.lr = args.moments.rate;
    }
    return rv_run_map(run, RV_KERNEL_OF(general), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", second_shape, false}};

const rv_method rv_method_generalized_adam = {
    .info = {.name = "generalized_adam",
             .version = 1,
             .title = "Generalized Adam and NAdamP (AlgoPerf v0.5 submissions)",
             .equations = "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "n = (beta1 m + (1 - beta1) g)/(1 - beta1^t) with nesterov, else m\n"
                          "u = n / ((v/(1 - beta2^t) + eps_root)^(1/power) + eps)\n"
                          "precondition false: m <- beta1 m + g;  u = g + beta1 m with nesterov, else m\n"
                          "w <- w - lr (u + weight_decay w)\n"
                          "NAdamP: nesterov with power tuned",
             .paper = "Dahl et al. 2023, Benchmarking neural network training algorithms (AlgoPerf), submissions "
                      "generalized_adam and nadamp",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v05/submissions/"
                          "external_tuning/generalized_adam and nadamp, submission.py",
             .deviations = "none; roots other than the square root call pow of the C library, whose last bit may "
                           "differ between machines",
             .params = &general_table,
             .state = "m: like the tensor; v: like the tensor, only with precondition",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};

#else

#include "optim/moments_real.h"

RV_TILE_FUNCTION(general, general_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL keep = (RV_REAL)a->keep, lr = (RV_REAL)a->lr, own = (RV_REAL)a->own, look = (RV_REAL)a->look;
    const RV_REAL spread = (RV_REAL)a->spread, inside = (RV_REAL)a->eps_root, power = (RV_REAL)a->power;
    RV_REAL *m = t->s[0], *v = t->s[1], root[RV_TILE];
    RV_EACH (i, t->n)
        m[i] = c.beta1 * m[i] + c.rest1 * t->g[i];
    if (a->trace) {
        RV_EACH (i, t->n)
            t->out[i] = keep * t->w[i] - lr * (own * m[i] + look * t->g[i]);
        return;
    }
    RV_EACH (i, t->n) {
        v[i] = c.beta2 * v[i] + c.rest2 * t->g[i] * t->g[i];
        root[i] = v[i] * spread + inside;
    }
    if (a->square_root)
        RV_EACH (i, t->n)
            root[i] = RV_MATH(sqrt)(root[i]);
    else
        RV_EACH (i, t->n)
            root[i] = RV_MATH(pow)(root[i], power);
    RV_EACH (i, t->n)
        t->out[i] = keep * t->w[i] - lr * (own * m[i] + look * t->g[i]) / (root[i] + c.eps);
}
#define RV_KERNEL general
#define RV_KERNEL_ARGS general_args
#include "optim/kernel_loop.h"

#endif
