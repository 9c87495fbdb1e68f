/* NAdam with the momentum schedule of its paper.
 *     mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2);  P_t = mu_1 ... mu_t
 *     m, v as in Adam;  D = sqrt(v/(1 - beta2^t)) + eps
 *     w <- w - lr (1 - mu_t)/(1 - P_t) g/D - lr mu_(t+1)/(1 - P_t mu_(t+1)) m/D
 * Reference: pytorch torch/optim/nadam.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct nadam_args {
    rv_moments moments;
    double l2, keep, rate_g, rate_m;
} nadam_args;

#define RV_KERNEL_FILE "optim/nadam.c"
#include "optim/kernel.h"

#define NADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                           \
    RV_HP_LR(REAL, 2e-3)                                                                      \
    RV_HP_BETA1(REAL, 0.9)                                                                    \
    RV_HP_BETA2(REAL, 0.999)                                                                  \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment after bias correction")     \
    REAL(momentum_decay, 4e-3, 0, 1e3, 0, "speed at which momentum rises from beta1/2 to beta1") \
    RV_HP_WEIGHT_DECAY(REAL, 0, "see decay")                                                  \
    RV_HP_DECAY(CHOICE, "l2")
RV_PARAM_STRUCT(nadam_params, NADAM_PARAMS);
RV_PARAM_TABLE(nadam_table, "nadam", nadam_params, NADAM_PARAMS);

static double momentum_at(const nadam_params *p, double t)
{
    return p->beta1 * (1 - 0.5 * pow(0.96, t * p->momentum_decay));
}

static rv_status step(const rv_run *run)
{
    const nadam_params *p = run->params;
    const double t = (double)run->step, mu = momentum_at(p, t), next = momentum_at(p, t + 1);
    const double product = mu * (run->step == 1 ? 1 : run->scalars[0]);
    const rv_decay decay = rv_decay_of(run, p->decay, p->weight_decay);
    const nadam_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                             .l2 = decay.l2,
                             .keep = decay.keep,
                             .rate_g = run->lr * (1 - mu) / (1 - product),
                             .rate_m = run->lr * next / (1 - product * next)};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(nadam), &args));
    run->scalars[0] = product;
    return RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};
static const char *const scalars[] = {"mu_product"};

const rv_method rv_method_nadam = {
    .info = {.name = "nadam",
             .version = 1,
             .title = "NAdam, Adam with scheduled Nesterov momentum",
             .equations = "g <- g + weight_decay w;  decay decoupled: w <- w (1 - lr weight_decay)\n"
                          "mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2);  P_t = mu_1 mu_2 ... mu_t\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2;  "
                          "D = sqrt(v/(1 - beta2^t)) + eps\n"
                          "w <- w - lr (1 - mu_t)/(1 - P_t) g/D - lr mu_(t+1)/(1 - P_t mu_(t+1)) m/D",
             .paper = "Dozat 2016, Incorporating Nesterov momentum into Adam",
             .reference = "pytorch 2.6.0 torch/optim/nadam.py (1.13 has one factor mu_t too many in the second product)",
             .deviations = "none",
             .params = &nadam_table,
             .state = "m, v: like the tensor; mu_product: a scalar",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .scalars = scalars,
    .scalar_count = 1,
    .step = step,
};

#else

#include "optim/moments_real.h"

RV_TILE_FUNCTION(nadam, nadam_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL l2 = (RV_REAL)a->l2, keep = (RV_REAL)a->keep;
    const RV_REAL rate_g = (RV_REAL)a->rate_g, rate_m = (RV_REAL)a->rate_m;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i];
        RV_FN(moments_add)(&c, &m[i], &v[i], g);
        t->out[i] = keep * t->w[i] - (rate_g * g + rate_m * m[i]) / (RV_MATH(sqrt)(v[i]) * c.root + c.eps);
    }
}
#define RV_KERNEL nadam
#define RV_KERNEL_ARGS nadam_args
#include "optim/kernel_loop.h"

#endif
