/* RAdam: Adam whose step is rectified while few gradients have been seen, and a step along the
 * mean of gradients before that.
 *     rho_inf = 2/(1 - beta2) - 1;  rho = rho_inf - 2 t beta2^t/(1 - beta2^t)
 *     r = sqrt((rho - 4)(rho - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho))
 *     rho > threshold: w <- w - lr r m/(1 - beta1^t) sqrt(1 - beta2^t)/(sqrt(v) + eps)
 *     else:            w <- w - lr m/(1 - beta1^t)
 * Reference: pytorch torch/optim/radam.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/adam.h"

typedef struct radam_args {
    rv_moments moments;
    double l2, keep;
    bool adaptive;
} radam_args;

#define RV_KERNEL_FILE "optim/radam.c"
#include "optim/kernel.h"

#define RADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    RV_HP_LR(REAL, 1e-3)                                                                       \
    RV_HP_BETA1(REAL, 0.9)                                                                     \
    RV_HP_BETA2(REAL, 0.999)                                                                   \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment")                            \
    RV_HP_EPS_PLACE(CHOICE, "before")                                                          \
    REAL(threshold, 5, 4, 1e9, 0, "steps are adaptive where rho exceeds this; the paper has 4") \
    RV_HP_WEIGHT_DECAY(REAL, 0, "see decay")                                                   \
    RV_HP_DECAY(CHOICE, "l2")
RV_PARAM_STRUCT(radam_params, RADAM_PARAMS);
RV_PARAM_TABLE(radam_table, "radam", radam_params, RADAM_PARAMS);

static rv_status step(const rv_run *run)
{
    const radam_params *p = run->params;
    const double r = rv_rectification(p->beta2, (double)run->step, p->threshold);
    const rv_decay decay = rv_decay_of(run, p->decay, p->weight_decay);
    radam_args args = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                       .l2 = decay.l2,
                       .keep = decay.keep,
                       .adaptive = r > 0};
    if (args.adaptive) {
        rv_moments_place_eps(&args.moments, p->eps_place);
        args.moments.rate *= r;
    }
    return rv_run_map(run, RV_KERNEL_OF(radam), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_radam = {
    .info = {.name = "radam",
             .version = 1,
             .title = "Rectified Adam",
             .equations = "g <- g + weight_decay w;  decay decoupled: w <- w (1 - lr weight_decay);  m, v as in Adam\n"
                          "rho_inf = 2/(1 - beta2) - 1;  rho = rho_inf - 2 t beta2^t/(1 - beta2^t)\n"
                          "r = sqrt((rho - 4)(rho - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho))\n"
                          "rho > threshold: w <- w - lr r m/(1 - beta1^t) sqrt(1 - beta2^t)/(sqrt(v) + eps)\n"
                          "else: w <- w - lr m/(1 - beta1^t)\n"
                          "eps_place after: sqrt(v)/sqrt(1 - beta2^t) + eps",
             .paper = "Liu et al. 2020, On the variance of the adaptive learning rate and beyond, algorithm 2",
             .reference = "pytorch 2.6.0 torch/optim/radam.py",
             .deviations = "none; the authors' code takes rho >= 5 and the paper rho > 4 (threshold)",
             .params = &radam_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};

#else

#include "optim/moments_real.h"

RV_TILE_FUNCTION(radam, radam_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL l2 = (RV_REAL)a->l2, keep = (RV_REAL)a->keep;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n)
        RV_FN(moments_add)(&c, &m[i], &v[i], t->g[i] + l2 * t->w[i]);
    if (a->adaptive)
        RV_EACH (i, t->n)
            t->out[i] = keep * t->w[i] - RV_FN(moments_step)(&c, m[i], v[i]);
    else
        RV_EACH (i, t->n)
            t->out[i] = keep * t->w[i] - c.rate * m[i];
}
#define RV_KERNEL radam
#define RV_KERNEL_ARGS radam_args
#include "optim/kernel_loop.h"

#endif
