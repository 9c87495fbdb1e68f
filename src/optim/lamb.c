/* LAMB: Adam's direction with decay, scaled per tensor to the norm of the weights.
 *     g <- g / max(1, ||g of all tensors|| / max_grad_norm)         (max_grad_norm 0: not at all)
 *     m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *     u = m/(1 - beta1^t) / (sqrt(v)/sqrt(1 - beta2^t) + eps) + weight_decay w
 *     r = phi(||w||)/||u||, 1 where a norm is 0;  w <- w - lr r u
 * phi(z) = min(max(z, phi_min), phi_max).  Reference: huggingface/pytorch-image-models
 * timm/optim/lamb.py aa4b5850.  Deviations: none; options for the paper and for TensorFlow. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct lamb_args {
    double scale; /* of the gradient */
    double beta1, beta2, in1, rest2, correction1, root, eps, weight_decay, lr;
    const double (*ratios)[RV_MAX_SUMS]; /* [tensors] */
} lamb_args;

#define RV_KERNEL_FILE "optim/lamb.c"
#include "optim/kernel.h"

#define LAMB_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")              \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                 \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")       \
    REAL(eps, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the denominator after bias correction") \
    REAL(weight_decay, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the direction before its norm is taken") \
    REAL(max_grad_norm, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "limit on the norm of all gradients; 0: none, 1: NVLAMB and timm") \
    BOOL(bias_correction, true, "as Adam's")                                                   \
    BOOL(grad_averaging, true, "gradients enter m times 1 - beta1, not 1")                     \
    CHOICE(adapt, "decayed|always|never", "decayed", "tensors that get the ratio: those with weight decay, all, none") \
    BOOL(trust_clip, false, "a ratio of at most 1")                                            \
    REAL(phi_min, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "lower bound of ||w|| in the ratio")       \
    REAL(phi_max, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "upper bound of ||w|| in the ratio (the paper's: 10); 0: none")
RV_PARAM_STRUCT(lamb_params, LAMB_PARAMS);
RV_PARAM_TABLE(lamb_table, "lamb", lamb_params, LAMB_PARAMS);

enum { DECAYED, ALWAYS, NEVER };

static rv_status check(const void *params, rv_error *err)
{
    const lamb_params *p = params;
    if (p->phi_max > 0 && p->phi_max < p->phi_min)
        return rv_fail(err, RV_E_ARGUMENT, "lamb: phi_max must be 0 or at least phi_min (%g), found %g", p->phi_min,
                       p->phi_max);
    return RV_OK;
}

/* ||g||^2, for the limit on the norm of all gradients. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const lamb_args args = {0};
    if (((const lamb_params *)run->params)->max_grad_norm == 0)
        return RV_OK;
    return rv_run_sum(run, RV_KERNEL_OF(lamb_squares), &args, total, NULL);
}

/* The trust ratio from ||w||^2 and ||u||^2. */
static double ratio_of(const lamb_params *p, const double *sums)
{
    if (p->adapt == NEVER || (p->adapt == DECAYED && p->weight_decay == 0))
        return 1;
    double w = fmax(sqrt(sums[0]), p->phi_min);
    const double u = sqrt(sums[1]);
    if (p->phi_max > 0)
        w = fmin(w, p->phi_max);
    const double ratio = w > 0 && u > 0 ? w / u : 1;
    return p->trust_clip ? fmin(ratio, 1) : ratio;
}

static rv_status step(const rv_run *run)
{
    const lamb_params *p = run->params;
    const double t = (double)run->step, norm = sqrt(run->joint[0]);
    lamb_args args = {.scale = p->max_grad_norm > 0 ? 1 / fmax(1, norm / p->max_grad_norm) : 1,
                      .beta1 = p->beta1,
                      .beta2 = p->beta2,
                      .in1 = p->grad_averaging ? 1 - p->beta1 : 1,
                      .rest2 = 1 - p->beta2,
                      .correction1 = p->bias_correction ? 1 / (1 - pow(p->beta1, t)) : 1,
                      .root = p->bias_correction ? 1 / sqrt(1 - pow(p->beta2, t)) : 1,
                      .eps = p->eps,
                      .weight_decay = p->weight_decay,
                      .lr = run->lr};
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(lamb_measure), &args, total, each));
    for (int k = 0; k < run->count; k++)
        each[k][0] = ratio_of(p, each[k]);
    args.ratios = (const double (*)[RV_MAX_SUMS])each;
    return rv_run_map(run, RV_KERNEL_OF(lamb), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_lamb = {
    .info = {.name = "lamb",
             .version = 1,
             .title = "LAMB: Adam scaled per tensor to the weights",
             .equations = "max_grad_norm > 0: g <- g / max(1, ||g|| / max_grad_norm), ||g|| over all tensors that any rule "
                          "gives to lamb\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "u = m/(1 - beta1^t) / (sqrt(v)/sqrt(1 - beta2^t) + eps) + weight_decay w\n"
                          "r = phi(||w||)/||u|| per tensor, 1 where a norm is 0;  w <- w - lr r u\n"
                          "phi(z) = min(max(z, phi_min), phi_max)",
             .paper = "You et al. 2020, Large batch optimization for deep learning: training BERT in 76 minutes",
             .reference = "huggingface/pytorch-image-models aa4b5850 timm/optim/lamb.py",
             .deviations = "none but for the default: no global clipping, as in the paper and in TensorFlow; timm and NVLAMB "
                           "have max_grad_norm=1.  TensorFlow's exclusions are rules with weight_decay=0 (adapt=always "
                           "keeps the ratio there); the paper's phi is phi_min, phi_max (references: identity)",
             .params = &lamb_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .check = check,
    .measure = measure,
    .passes = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(lamb_squares, lamb_args)
{
    (void)a;
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[0]);
}
#define RV_KERNEL lamb_squares
#define RV_KERNEL_ARGS lamb_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_INLINE RV_REAL RV_FN(lamb_direction)(const lamb_args *a, RV_REAL m, RV_REAL v, RV_REAL w)
{
    return m * (RV_REAL)a->correction1 / (RV_MATH(sqrt)(v) * (RV_REAL)a->root + (RV_REAL)a->eps) +
           (RV_REAL)a->weight_decay * w;
}

RV_TILE_FUNCTION(lamb_measure, lamb_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, in1 = (RV_REAL)a->in1;
    const RV_REAL rest2 = (RV_REAL)a->rest2, scale = (RV_REAL)a->scale;
    RV_REAL *m = t->s[0], *v = t->s[1], u[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] * scale;
        m[i] = beta1 * m[i] + in1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        u[i] = RV_FN(lamb_direction)(a, m[i], v[i], t->w[i]);
    }
    RV_FN(rv_dot)(t->w, t->w, t->n, t->sum[0]);
    RV_FN(rv_dot)(u, u, t->n, t->sum[1]);
}
#define RV_KERNEL lamb_measure
#define RV_KERNEL_ARGS lamb_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(lamb, lamb_args)
{
    const RV_REAL rate = (RV_REAL)(a->lr * a->ratios[t->tensor][0]);
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n)
        t->out[i] = t->w[i] - rate * RV_FN(lamb_direction)(a, m[i], v[i], t->w[i]);
}
#define RV_KERNEL lamb
#define RV_KERNEL_ARGS lamb_args
#include "optim/kernel_loop.h"

#endif
