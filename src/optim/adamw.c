/* Adam with decoupled weight decay, with AMSGrad as an option.
 *     w <- w (1 - lr weight_decay)
 *     m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *     w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 * AMSGrad divides by the largest v so far, taken before the bias correction.
 * Reference: pytorch torch/optim/adamw.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct adamw_args {
    double keep;  /* 1 - lr weight_decay */
    double beta1, beta2, rest1, rest2; /* rest = 1 - beta */
    double rate;  /* lr / (1 - beta1^t) */
    double root;  /* 1 / sqrt(1 - beta2^t) */
    double eps;
} adamw_args;

#define RV_KERNEL_FILE "optim/adamw.c"
#include "optim/kernel.h"

#define ADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")              \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                 \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")       \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the denominator") \
    REAL(weight_decay, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    BOOL(amsgrad, false, "divide by the largest second moment so far")                         \
    CHOICE(eps_place, "after|before", "after", "eps is added after or before the bias correction of v")
RV_PARAM_STRUCT(adamw_params, ADAMW_PARAMS);
RV_PARAM_TABLE(adamw_table, "adamw", adamw_params, ADAMW_PARAMS);

enum { EPS_AFTER, EPS_BEFORE };

static bool most_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const adamw_params *)params)->amsgrad && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const adamw_params *p = run->params;
    const double t = (double)run->step, root = 1 / sqrt(1 - pow(p->beta2, t));
    const adamw_args args = {.keep = 1 - run->lr * p->weight_decay,
                             .beta1 = p->beta1,
                             .beta2 = p->beta2,
                             .rest1 = 1 - p->beta1,
                             .rest2 = 1 - p->beta2,
                             .rate = run->lr / (1 - pow(p->beta1, t)),
                             .root = root,
                             .eps = p->eps_place == EPS_AFTER ? p->eps : p->eps * root};
    return rv_run_map(run, RV_KERNEL_OF(adamw), &args);
}

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"v_max", most_shape, false}};

const rv_method rv_method_adamw = {
    .info = {.name = "adamw",
             .version = 1,
             .title = "Adam with decoupled weight decay",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "amsgrad: the largest v so far (before bias correction) in place of v\n"
                          "eps_place=before: (sqrt(v) + eps)/sqrt(1 - beta2^t)",
             .paper = "Kingma & Ba 2015, Adam; Loshchilov & Hutter 2019, Decoupled weight decay regularization; "
                      "Reddi et al. 2018 (AMSGrad)",
             .reference = "pytorch 2.6.0 torch/optim/adamw.py",
             .deviations = "none from the reference; the paper multiplies weight_decay by the schedule's factor only",
             .params = &adamw_table,
             .state = "m, v: like the tensor; v_max: like the tensor, only with amsgrad",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .step = step,
};

#else

RV_TILE_FUNCTION(adamw, adamw_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, rate = (RV_REAL)a->rate, root = (RV_REAL)a->root;
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, eps = (RV_REAL)a->eps;
    const RV_REAL rest1 = (RV_REAL)a->rest1, rest2 = (RV_REAL)a->rest2;
    RV_REAL *m = t->s[0], *v = t->s[1], *most = t->s[2];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i];
        m[i] = beta1 * m[i] + rest1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
    }
    if (most) {
        RV_EACH (i, t->n)
            most[i] = most[i] > v[i] ? most[i] : v[i];
        v = most;
    }
    RV_EACH (i, t->n)
        t->out[i] = keep * t->w[i] - rate * m[i] / (RV_MATH(sqrt)(v[i]) * root + eps);
}
#define RV_KERNEL adamw
#define RV_KERNEL_ARGS adamw_args
#include "optim/kernel_loop.h"

#endif
