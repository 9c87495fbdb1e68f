/* AdaBelief: Adam whose second moment is of the gradient's distance from its mean; rectified as
 * RAdam unless asked otherwise.
 *     m <- beta1 m + (1 - beta1) g;  s <- beta2 s + (1 - beta2) (g - m)^2 + eps
 *     plain:      w <- w - lr/(1 - beta1^t) m / (sqrt(s)/sqrt(1 - beta2^t) + eps)
 *     rectified:  rho >= 5: w <- w - lr r sqrt(1 - beta2^t)/(1 - beta1^t) m / (sqrt(s) + eps)
 *                 else:     w <- w - lr/(1 - beta1^t) m
 * Reference: juntang-zhuang/Adabelief-Optimizer 2855178e.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct belief_args {
    rv_moments moments;
    double l2, keep, state_eps;
    bool adaptive, use_max;
} belief_args;

enum { SLOT_M, SLOT_S, SLOT_S_MAX };

#define RV_KERNEL_FILE "optim/adabelief.c"
#include "optim/kernel.h"

#define BELIEF_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                               \
    RV_HP_LR(REAL, 1e-3)                                                                           \
    RV_HP_BETA1(REAL, 0.9)                                                                         \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared distances")           \
    RV_HP_EPS(REAL, 1e-16, "added to the second moment in every step, and to its root")            \
    RV_HP_WEIGHT_DECAY(REAL, 0, "see decay")                                                       \
    CHOICE(decay, "l2|decoupled|fixed", "decoupled", "into the gradient, or off the weights times lr, or by itself") \
    BOOL(rectify, true, "RAdam's rectification of the first steps")                                \
    BOOL(amsgrad, false, "divide by the largest second moment so far; without effect with rectify")
RV_PARAM_STRUCT(belief_params, BELIEF_PARAMS);
RV_PARAM_TABLE(belief_table, "adabelief", belief_params, BELIEF_PARAMS);
enum { FIXED = RV_DECAY_DECOUPLED + 1 };

static bool most_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const belief_params *)params)->amsgrad && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const belief_params *p = run->params;
    belief_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                        .l2 = p->decay == RV_DECAY_L2 ? p->weight_decay : 0,
                        .keep = p->decay == RV_DECAY_L2 ? 1 : 1 - p->weight_decay * (p->decay == FIXED ? 1 : run->lr),
                        .state_eps = p->eps,
                        .adaptive = true,
                        .use_max = p->amsgrad && !p->rectify};
    if (p->rectify) {
        const double r = rv_rectification(p->beta2, (double)run->step, 5);
        args.adaptive = r > 0;
        if (args.adaptive) {
            rv_moments_place_eps(&args.moments, RV_EPS_BEFORE);
            args.moments.rate *= r;
        }
    }
    return rv_run_map(run, RV_KERNEL_OF(belief), &args);
}

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"s", rv_slot_like, false}, {"s_max", most_shape, false}};

const rv_method rv_method_adabelief = {
    .info = {.name = "adabelief",
             .version = 1,
             .title = "AdaBelief",
             .equations = "m <- beta1 m + (1 - beta1) g;  s <- beta2 s + (1 - beta2) (g - m)^2 + eps\n"
                          "rectify: r and rho as in radam; rho >= 5: "
                          "w <- w - lr r sqrt(1 - beta2^t)/(1 - beta1^t) m / (sqrt(s) + eps), "
                          "else w <- w - lr/(1 - beta1^t) m\n"
                          "without: w <- w - lr/(1 - beta1^t) m / (sqrt(s)/sqrt(1 - beta2^t) + eps); amsgrad: the "
                          "largest s so far\n"
                          "decay first: g <- g + weight_decay w (l2), w <- w (1 - lr weight_decay) (decoupled), "
                          "w <- w (1 - weight_decay) (fixed)",
             .paper = "Zhuang et al. 2020, AdaBelief optimizer: adapting stepsizes by the belief in observed gradients",
             .reference = "juntang-zhuang/Adabelief-Optimizer 2855178e pypi_packages/adabelief_pytorch0.2.0",
             .deviations = "none; eps accumulates in s, as in the reference and the paper; rho is compared with > 5",
             .params = &belief_table,
             .state = "m, s: like the tensor; s_max: like the tensor, only with amsgrad",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .step = step,
};

#else

#include "optim/moments_real.h"

RV_TILE_FUNCTION(belief, belief_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL l2 = (RV_REAL)a->l2, keep = (RV_REAL)a->keep, state_eps = (RV_REAL)a->state_eps;
    RV_REAL *m = t->s[SLOT_M], *s = t->s[SLOT_S], *most = t->s[SLOT_S_MAX];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i];
        m[i] = c.beta1 * m[i] + c.rest1 * g;
        const RV_REAL apart = g - m[i];
        s[i] = c.beta2 * s[i] + c.rest2 * apart * apart + state_eps;
    }
    if (most)
        RV_EACH (i, t->n)
            most[i] = most[i] > s[i] ? most[i] : s[i];
    if (a->use_max)
        s = most;
    if (a->adaptive)
        RV_EACH (i, t->n)
            t->out[i] = keep * t->w[i] - RV_FN(moments_step)(&c, m[i], s[i]);
    else
        RV_EACH (i, t->n)
            t->out[i] = keep * t->w[i] - c.rate * m[i];
}
#define RV_KERNEL belief
#define RV_KERNEL_ARGS belief_args
#include "optim/kernel_loop.h"

#endif
