/* LaProp: the gradient is normalised first and averaged then, so that beta1 and beta2 are free of
 * each other.
 *     v <- beta2 v + (1 - beta2) g^2;  u = g / (sqrt(v/(1 - beta2^t)) + eps)
 *     m <- beta1 m + (1 - beta1) lr u;  l <- beta1 l + (1 - beta1) lr
 *     w <- (w - lr/l m) (1 - lr weight_decay)
 * Reference: timm/optim/laprop.py aa4b5850.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"
#include "optim/caution.h"

typedef struct laprop_args {
    rv_moments moments;
    double keep, take, rate;              /* m <- beta1 m + take u;  rate m is the step */
    const double (*scales)[RV_MAX_SUMS];  /* of the cautious mask, per tensor; NULL: none */
} laprop_args;

#define RV_KERNEL_FILE "optim/laprop.c"
#include "optim/kernel.h"

#define LAPROP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    RV_HP_LR(REAL, 4e-4)                                                                        \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of normalised gradients")       \
    RV_HP_BETA2(REAL, 0.999)                                                                    \
    RV_HP_EPS(REAL, 1e-15, "added to the root of the second moment after bias correction")      \
    RV_HP_DECOUPLED(REAL, 0)                                                                    \
    RV_HP_DECAY_FORM(CHOICE)                                                                    \
    RV_HP_CAUTION(CHOICE, "off")
RV_PARAM_STRUCT(laprop_params, LAPROP_PARAMS);
RV_PARAM_TABLE(laprop_table, "laprop", laprop_params, LAPROP_PARAMS);

static rv_status step(const rv_run *run)
{
    const laprop_params *p = run->params;
    const double lr_mean = p->beta1 * run->scalars[0] + (1 - p->beta1) * run->lr;
    laprop_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                        .keep = rv_decay_keep(run, p->decay, p->lr, p->weight_decay),
                        .take = (1 - p->beta1) * run->lr,
                        .rate = run->lr > 0 ? run->lr / lr_mean : 1};
    RV_TRY(rv_caution_measure(run, RV_KERNEL_OF(laprop_aligned), &args, p->caution, RV_CAUTION_FLOOR, 0, &args.scales));
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(laprop), &args));
    run->scalars[0] = lr_mean;
    return RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};
static const char *const scalars[] = {"lr_mean"};

const rv_method rv_method_laprop = {
    .info = {.name = "laprop",
             .version = 1,
             .title = "LaProp",
             .equations = "v <- beta2 v + (1 - beta2) g^2;  u = g / (sqrt(v/(1 - beta2^t)) + eps)\n"
                          "m <- beta1 m + (1 - beta1) lr u;  l <- beta1 l + (1 - beta1) lr\n"
                          "w <- (w - lr/l m) (1 - lr weight_decay)\n"
                          "decay, caution: as in adamw, with m g for the mask",
             .paper = "Ziyin, Wang & Ueda 2020, LaProp: separating momentum and adaptivity in Adam",
             .reference = "pytorch-image-models aa4b5850 timm/optim/laprop.py",
             .deviations = "none; decay comes after the step",
             .params = &laprop_table,
             .state = "m, v: like the tensor; lr_mean: a scalar",
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

/* Element i's new m, given its new v. */
RV_INLINE RV_REAL RV_FN(laprop_mean)(const RV_FN(moments) *c, RV_REAL take, RV_REAL m, RV_REAL v, RV_REAL g)
{
    return c->beta1 * m + take * (g / (RV_MATH(sqrt)(v) * c->root + c->eps));
}

RV_TILE_FUNCTION(laprop_aligned, laprop_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL take = (RV_REAL)a->take;
    const RV_REAL *m = t->s[0], *v = t->s[1];
    RV_REAL_INT count = 0;
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i], next = c.beta2 * v[i] + c.rest2 * g * g;
        count += RV_FN(laprop_mean)(&c, take, m[i], next, g) * g > 0 ? 1 : 0;
    }
    t->sum[0][0] += (double)count;
}
#define RV_KERNEL laprop_aligned
#define RV_KERNEL_ARGS laprop_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(laprop, laprop_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL keep = (RV_REAL)a->keep, take = (RV_REAL)a->take, rate = (RV_REAL)a->rate;
    const RV_REAL scale = a->scales ? (RV_REAL)a->scales[t->tensor][0] : 1, weak = a->scales ? 0 : 1;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i];
        v[i] = c.beta2 * v[i] + c.rest2 * g * g;
        m[i] = RV_FN(laprop_mean)(&c, take, m[i], v[i], g);
        const RV_REAL u = m[i] * (m[i] * g > 0 ? scale : weak);
        t->out[i] = keep * (t->w[i] - rate * u);
    }
}
#define RV_KERNEL laprop
#define RV_KERNEL_ARGS laprop_args
#include "optim/kernel_loop.h"

#endif
