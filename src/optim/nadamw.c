/* Adam with decoupled weight decay and Nesterov momentum, in the form of AlgoPerf.
 *     w <- w (1 - lr weight_decay);  m, v as in Adam
 *     n = beta1 m + (1 - beta1) g
 *     w <- w - lr/(1 - beta1^t) n / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 * Reference: mlcommons/algorithmic-efficiency, pytorch_nadamw.py 2c90454f.  Deviation: the
 * reference forms n inside the buffer of m and undoes it, which leaves rounding in m. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct nadamw_args {
    double keep, beta1, beta2, rest1, rest2, rate, root, eps;
} nadamw_args;

#define RV_KERNEL_FILE "optim/nadamw.c"
#include "optim/kernel.h"

#define NADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                           \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")              \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                 \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")       \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the denominator after bias correction") \
    REAL(weight_decay, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate")
RV_PARAM_STRUCT(nadamw_params, NADAMW_PARAMS);
RV_PARAM_TABLE(nadamw_table, "nadamw", nadamw_params, NADAMW_PARAMS);

static rv_status step(const rv_run *run)
{
    const nadamw_params *p = run->params;
    const double t = (double)run->step;
    const nadamw_args args = {.keep = 1 - run->lr * p->weight_decay,
                              .beta1 = p->beta1,
                              .beta2 = p->beta2,
                              .rest1 = 1 - p->beta1,
                              .rest2 = 1 - p->beta2,
                              .rate = run->lr / (1 - pow(p->beta1, t)),
                              .root = 1 / sqrt(1 - pow(p->beta2, t)),
                              .eps = p->eps};
    return rv_run_map(run, RV_KERNEL_OF(nadamw), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_nadamw = {
    .info = {.name = "nadamw",
             .version = 1,
             .title = "AdamW with Nesterov momentum (AlgoPerf's form)",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "n = beta1 m + (1 - beta1) g\n"
                          "w <- w - lr/(1 - beta1^t) n / (sqrt(v)/sqrt(1 - beta2^t) + eps)",
             .paper = "Dozat 2016, Incorporating Nesterov momentum into Adam; Choi et al. 2019, On empirical "
                      "comparisons of optimizers for deep learning, table 1",
             .reference = "mlcommons/algorithmic-efficiency 2c90454f "
                          "algorithms/target_setting_algorithms/pytorch_nadamw.py",
             .deviations = "n is not formed in the buffer of m, so m is free of that rounding; unlike pytorch's "
                           "NAdam there is no momentum schedule",
             .params = &nadamw_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};

#else

RV_TILE_FUNCTION(nadamw, nadamw_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, rate = (RV_REAL)a->rate, root = (RV_REAL)a->root;
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, eps = (RV_REAL)a->eps;
    const RV_REAL rest1 = (RV_REAL)a->rest1, rest2 = (RV_REAL)a->rest2;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i];
        m[i] = beta1 * m[i] + rest1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        const RV_REAL n = beta1 * m[i] + rest1 * g;
        t->out[i] = keep * t->w[i] - rate * n / (RV_MATH(sqrt)(v[i]) * root + eps);
    }
}
#define RV_KERNEL nadamw
#define RV_KERNEL_ARGS nadamw_args
#include "optim/kernel_loop.h"

#endif
