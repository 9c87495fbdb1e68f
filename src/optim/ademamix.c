/* AdEMAMix: Adam with a second, slow mean of gradients.
 *     m <- beta1 m + (1 - beta1) g;  s <- b s + (1 - b) g;  v <- beta2 v + (1 - beta2) g^2
 *     u = (m/(1 - beta1^t) + a s) / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 *     w <- w - lr (u + weight_decay w)
 * a rises to alpha in alpha_warmup steps, b from beta1 to beta3 in beta3_warmup steps.
 * Reference: apple/ml-ademamix c3d73c09.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct ademamix_args {
    rv_moments moments;
    double keep, slow, rest_slow, share; /* share: lr times a, over rate */
} ademamix_args;

#define RV_KERNEL_FILE "optim/ademamix.c"
#include "optim/kernel.h"

#define ADEMAMIX_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    RV_HP_LR(REAL, 1e-3)                                                                        \
    RV_HP_BETA1(REAL, 0.9)                                                                      \
    RV_HP_BETA2(REAL, 0.999)                                                                    \
    REAL(beta3, 0.9999, 0, 1, RV_PARAM_OPEN_HI, "decay of the slow mean of gradients")          \
    REAL(alpha, 2, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "weight of the slow mean")                    \
    INT(beta3_warmup, 0, 0, 1e15, 0, "steps in which the slow decay rises from beta1 to beta3") \
    INT(alpha_warmup, 0, 0, 1e15, 0, "steps in which the weight rises from 0 to alpha")         \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment after bias correction")       \
    RV_HP_DECOUPLED(REAL, 0)
RV_PARAM_STRUCT(ademamix_params, ADEMAMIX_PARAMS);
RV_PARAM_TABLE(ademamix_table, "ademamix", ademamix_params, ADEMAMIX_PARAMS);

/* Steps in which a mean of decay beta loses half, minus one. */
static double half_life(double beta)
{
    return log(0.5) / log(beta + 1e-8) - 1;
}

/* The decay of the slow mean in step t: half lives are interpolated. */
static double slow_decay(const ademamix_params *p, double t)
{
    const double done = p->beta3_warmup > 0 ? t / (double)p->beta3_warmup : 1;
    if (done >= 1)
        return p->beta3;
    return pow(0.5, 1 / ((1 - done) * half_life(p->beta1) + done * half_life(p->beta3) + 1));
}

static rv_status step(const rv_run *run)
{
    const ademamix_params *p = run->params;
    const double t = (double)run->step, slow = slow_decay(p, t);
    const double alpha = t < (double)p->alpha_warmup ? p->alpha * t / (double)p->alpha_warmup : p->alpha;
    ademamix_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                          .keep = 1 - run->lr * p->weight_decay,
                          .slow = slow,
                          .rest_slow = 1 - slow};
    args.share = alpha * args.moments.bias1;
    return rv_run_map(run, RV_KERNEL_OF(ademamix), &args);
}

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"m_slow", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_ademamix = {
    .info = {.name = "ademamix",
             .version = 1,
             .title = "AdEMAMix, Adam with two means of gradients",
             .equations = "m <- beta1 m + (1 - beta1) g;  m_slow <- b m_slow + (1 - b) g;  "
                          "v <- beta2 v + (1 - beta2) g^2\n"
                          "u = (m/(1 - beta1^t) + a m_slow) / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "w <- w - lr (u + weight_decay w)\n"
                          "a = alpha min(1, t/alpha_warmup);  h(x) = ln 0.5/ln(x + 1e-8) - 1, c = t/beta3_warmup: "
                          "b = 0.5^(1/((1 - c) h(beta1) + c h(beta3) + 1)) for c < 1, then beta3",
             .paper = "Pagliardini, Ablin & Grangier 2024, The AdEMAMix optimizer: better, faster, older",
             .reference = "apple/ml-ademamix c3d73c09 pytorch/ademamix.py",
             .deviations = "none; m_slow is not corrected for bias",
             .params = &ademamix_table,
             .state = "m, m_slow, v: like the tensor",
             .bytes_per_parameter = 12},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .step = step,
};

#else

#include "optim/moments_real.h"

RV_TILE_FUNCTION(ademamix, ademamix_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL keep = (RV_REAL)a->keep, share = (RV_REAL)a->share;
    const RV_REAL slow = (RV_REAL)a->slow, rest_slow = (RV_REAL)a->rest_slow;
    RV_REAL *m = t->s[0], *s = t->s[1], *v = t->s[2];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i];
        RV_FN(moments_add)(&c, &m[i], &v[i], g);
        s[i] = slow * s[i] + rest_slow * g;
        t->out[i] = keep * t->w[i] - RV_FN(moments_step)(&c, m[i] + share * s[i], v[i]);
    }
}
#define RV_KERNEL ademamix
#define RV_KERNEL_ARGS ademamix_args
#include "optim/kernel_loop.h"

#endif
