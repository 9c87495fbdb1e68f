/* ADOPT: the gradient is divided by a second moment that has not seen it yet, clipped, and then
 * averaged.
 *     first step: v <- g^2, nothing else
 *     k = t - 1:  u = clip(g / max(sqrt(v), eps), -k^clip_power, k^clip_power)
 *                 m <- beta1 m + (1 - beta1) u;  w <- w - lr m;  v <- beta2 v + (1 - beta2) g^2
 * Reference: iShohei220/adopt 6468572b; timm/optim/adopt.py aa4b5850.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct adopt_args {
    double beta1, rest1, beta2, rest2, eps, lr, l2, keep, bound;
    bool first;
} adopt_args;

#define RV_KERNEL_FILE "optim/adopt.c"
#include "optim/kernel.h"

#define ADOPT_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    RV_HP_LR(REAL, 1e-3)                                                                     \
    RV_HP_BETA1(REAL, 0.9)                                                                   \
    RV_HP_BETA2(REAL, 0.9999)                                                                \
    RV_HP_EPS(REAL, 1e-6, "least root that is divided by")                                   \
    RV_HP_WEIGHT_DECAY(REAL, 0, "see decay")                                                 \
    RV_HP_DECAY(CHOICE, "l2")                                                                \
    BOOL(clip, true, "bound the normalised gradient; the first version of the paper does not") \
    REAL(clip_power, 0.25, 0, 10, 0, "the bound is (t - 1) to this power; timm has 0.333")
RV_PARAM_STRUCT(adopt_params, ADOPT_PARAMS);
RV_PARAM_TABLE(adopt_table, "adopt", adopt_params, ADOPT_PARAMS);

static rv_status step(const rv_run *run)
{
    const adopt_params *p = run->params;
    const rv_decay decay = rv_decay_of(run, p->decay, p->weight_decay);
    const adopt_args args = {.beta1 = p->beta1,
                             .rest1 = 1 - p->beta1,
                             .beta2 = p->beta2,
                             .rest2 = 1 - p->beta2,
                             .eps = p->eps,
                             .lr = run->lr,
                             .l2 = decay.l2,
                             .keep = decay.keep,
                             .bound = p->clip ? pow((double)(run->step - 1), p->clip_power) : HUGE_VAL,
                             .first = run->step == 1};
    return rv_run_map(run, RV_KERNEL_OF(adopt), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_adopt = {
    .info = {.name = "adopt",
             .version = 1,
             .title = "ADOPT",
             .equations = "first step: v <- g^2, and nothing else moves\n"
                          "u = clip(g / max(sqrt(v), eps), -(t - 1)^clip_power, (t - 1)^clip_power)\n"
                          "m <- beta1 m + (1 - beta1) u;  w <- w - lr m;  v <- beta2 v + (1 - beta2) g^2\n"
                          "decay l2: g <- g + weight_decay w before all; decoupled: w <- w (1 - lr weight_decay) from "
                          "the second step on",
             .paper = "Taniguchi et al. 2024, ADOPT: modified Adam can converge with any beta2 with the optimal rate",
             .reference = "iShohei220/adopt 6468572b src/adopt/adopt.py; clip_power 0.333: pytorch-image-models aa4b5850 "
                          "timm/optim/adopt.py",
             .deviations = "none",
             .params = &adopt_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};

#else

RV_TILE_FUNCTION(adopt, adopt_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1, beta2 = (RV_REAL)a->beta2;
    const RV_REAL rest2 = (RV_REAL)a->rest2, eps = (RV_REAL)a->eps, lr = (RV_REAL)a->lr;
    const RV_REAL l2 = (RV_REAL)a->l2, keep = (RV_REAL)a->keep, bound = (RV_REAL)a->bound;
    RV_REAL *m = t->s[0], *v = t->s[1];
    if (a->first) {
        RV_EACH (i, t->n) {
            const RV_REAL g = t->g[i] + l2 * t->w[i];
            v[i] = g * g;
            t->out[i] = t->w[i];
        }
        return;
    }
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i], root = RV_MATH(sqrt)(v[i]);
        const RV_REAL u = g / (root > eps ? root : eps);
        m[i] = beta1 * m[i] + rest1 * (u > bound ? bound : u < -bound ? -bound : u);
        t->out[i] = keep * t->w[i] - lr * m[i];
        v[i] = beta2 * v[i] + rest2 * g * g;
    }
}
#define RV_KERNEL adopt
#define RV_KERNEL_ARGS adopt_args
#include "optim/kernel_loop.h"

#endif
