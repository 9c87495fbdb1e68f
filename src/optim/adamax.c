/* AdaMax: Adam with the decayed maximum of gradients in place of their root mean square.
 *     g <- g + weight_decay w;  m <- beta1 m + (1 - beta1) g;  u <- max(beta2 u, |g| + eps)
 *     w <- w - lr/(1 - beta1^t) m / u
 * Reference: pytorch torch/optim/adamax.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct adamax_args {
    rv_moments moments;
    double l2;
} adamax_args;

#define RV_KERNEL_FILE "optim/adamax.c"
#include "optim/kernel.h"

#define ADAMAX_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                       \
    RV_HP_LR(REAL, 2e-3)                                                                   \
    RV_HP_BETA1(REAL, 0.9)                                                                 \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the maximum of gradients")        \
    RV_HP_EPS(REAL, 1e-8, "added to the size of the gradient; the paper has none")         \
    RV_HP_L2(REAL)
RV_PARAM_STRUCT(adamax_params, ADAMAX_PARAMS);
RV_PARAM_TABLE(adamax_table, "adamax", adamax_params, ADAMAX_PARAMS);

static rv_status step(const rv_run *run)
{
    const adamax_params *p = run->params;
    const adamax_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps), .l2 = p->weight_decay};
    return rv_run_map(run, RV_KERNEL_OF(adamax), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"u", rv_slot_like, false}};

const rv_method rv_method_adamax = {
    .info = {.name = "adamax",
             .version = 1,
             .title = "AdaMax",
             .equations = "g <- g + weight_decay w\n"
                          "m <- beta1 m + (1 - beta1) g;  u <- max(beta2 u, |g| + eps)\n"
                          "w <- w - lr/(1 - beta1^t) m / u",
             .paper = "Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 2",
             .reference = "pytorch 2.6.0 torch/optim/adamax.py",
             .deviations = "none; with eps=0 (the paper) a weight whose gradients were all 0 stays",
             .params = &adamax_table,
             .state = "m, u: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};

#else

#include "optim/moments_real.h"

RV_TILE_FUNCTION(adamax, adamax_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL l2 = (RV_REAL)a->l2;
    RV_REAL *m = t->s[0], *u = t->s[1];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i], size = RV_MATH(fabs)(g) + c.eps, faded = c.beta2 * u[i];
        m[i] = c.beta1 * m[i] + c.rest1 * g;
        u[i] = faded > size ? faded : size;
        t->out[i] = t->w[i] - (u[i] > 0 ? c.rate * m[i] / u[i] : 0);
    }
}
#define RV_KERNEL adamax
#define RV_KERNEL_ARGS adamax_args
#include "optim/kernel_loop.h"

#endif
