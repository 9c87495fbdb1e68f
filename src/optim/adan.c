/* Adan: Adam with Nesterov momentum from the differences of gradients.
 *     g <- g min(1, max_grad_norm/(||g|| + eps)) over all tensors
 *     d = g - g_before (0 in the first step);  m <- beta1 m + (1 - beta1) g
 *     e <- beta2 e + (1 - beta2) d;  n <- beta3 n + (1 - beta3) (g + beta2 d)^2
 *     u = (m/(1 - beta1^t) + beta2 e/(1 - beta2^t)) / (sqrt(n)/sqrt(1 - beta3^t) + eps)
 *     w <- (w - lr u)/(1 + lr weight_decay), or w (1 - lr weight_decay) - lr u (no_prox)
 * Reference: sail-sg/Adan adan.py 2c65beaf.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/norms.h"
#include "optim/rows.h"

typedef struct adan_args {
    double beta1, beta2, beta3, rest1, rest2, rest3;
    double rate1, rate2;     /* lr/bias1, lr beta2/bias2 */
    double root, eps, clip;
    double before, after;    /* factors on the weights before and after the update */
    double since; /* 0 in the first step, when there is no difference; else 1 */
} adan_args;

enum { SLOT_M, SLOT_E, SLOT_N, SLOT_BEFORE };

#define RV_KERNEL_FILE "optim/adan.c"
#include "optim/kernel.h"

#define ADAN_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    RV_HP_LR(REAL, 1e-3)                                                                        \
    RV_HP_BETA1(REAL, 0.98)                                                                     \
    REAL(beta2, 0.92, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of differences")               \
    REAL(beta3, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squares")                   \
    RV_HP_EPS(REAL, 1e-8, "added to the root after bias correction, and to the norm")           \
    RV_HP_DECOUPLED(REAL, 0)                                                                    \
    BOOL(no_prox, false, "shrink before the update instead of dividing after it")               \
    REAL(max_grad_norm, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "norm of the gradient over all tensors is cut to this; 0: not")
RV_PARAM_STRUCT(adan_params, ADAN_PARAMS);
RV_PARAM_TABLE(adan_table, "adan", adan_params, ADAN_PARAMS);

static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    return ((const adan_params *)run->params)->max_grad_norm > 0 ? rv_run_squares(run, false, total, NULL) : RV_OK;
}

static rv_status step(const rv_run *run)
{
    const adan_params *p = run->params;
    const double t = (double)run->step, decay = run->lr * p->weight_decay;
    adan_args args = {.beta1 = p->beta1,
                      .beta2 = p->beta2,
                      .beta3 = p->beta3,
                      .rest1 = 1 - p->beta1,
                      .rest2 = 1 - p->beta2,
                      .rest3 = 1 - p->beta3,
                      .rate1 = run->lr / (1 - pow(p->beta1, t)),
                      .rate2 = run->lr * p->beta2 / (1 - pow(p->beta2, t)),
                      .root = 1 / sqrt(1 - pow(p->beta3, t)),
                      .eps = p->eps,
                      .clip = 1,
                      .before = p->no_prox ? 1 - decay : 1,
                      .after = p->no_prox ? 1 : 1 / (1 + decay),
                      .since = run->step == 1 ? 0 : 1};
    if (p->max_grad_norm > 0)
        args.clip = fmin(1, p->max_grad_norm / (sqrt(run->joint[RV_SQUARES_G]) + p->eps));
    return rv_run_map(run, RV_KERNEL_OF(adan), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false},
                                {"e", rv_slot_like, false},
                                {"n", rv_slot_like, false},
                                {"g_before", rv_slot_like, false}};

const rv_method rv_method_adan = {
    .info = {.name = "adan",
             .version = 1,
             .title = "Adan, adaptive Nesterov momentum",
             .equations = "max_grad_norm > 0: g <- g min(1, max_grad_norm/(||g|| + eps)), the norm over all tensors\n"
                          "d = g - g_before, 0 in the first step\n"
                          "m <- beta1 m + (1 - beta1) g;  e <- beta2 e + (1 - beta2) d;  "
                          "n <- beta3 n + (1 - beta3) (g + beta2 d)^2\n"
                          "u = (m/(1 - beta1^t) + beta2 e/(1 - beta2^t)) / (sqrt(n)/sqrt(1 - beta3^t) + eps)\n"
                          "w <- (w - lr u)/(1 + lr weight_decay), or w (1 - lr weight_decay) - lr u with no_prox",
             .paper = "Xie et al. 2022, Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models, "
                      "algorithm 1; the paper writes 1 - beta for these betas",
             .reference = "sail-sg/Adan 2c65beaf adan.py",
             .deviations = "none; the norm is over the tensors that adan has",
             .params = &adan_table,
             .state = "m, e, n, g_before: like the tensor",
             .bytes_per_parameter = 16},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 4,
    .measure = measure,
    .passes = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(adan, adan_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, beta3 = (RV_REAL)a->beta3;
    const RV_REAL rest1 = (RV_REAL)a->rest1, rest2 = (RV_REAL)a->rest2, rest3 = (RV_REAL)a->rest3;
    const RV_REAL rate1 = (RV_REAL)a->rate1, rate2 = (RV_REAL)a->rate2, root = (RV_REAL)a->root;
    const RV_REAL eps = (RV_REAL)a->eps, clip = (RV_REAL)a->clip;
    const RV_REAL before = (RV_REAL)a->before, after = (RV_REAL)a->after, since = (RV_REAL)a->since;
    RV_REAL *m = t->s[SLOT_M], *e = t->s[SLOT_E], *n = t->s[SLOT_N], *last = t->s[SLOT_BEFORE];
    RV_EACH (i, t->n) {
        const RV_REAL g = clip * t->g[i], d = since * (g - last[i]), ahead = g + beta2 * d;
        last[i] = g;
        m[i] = beta1 * m[i] + rest1 * g;
        e[i] = beta2 * e[i] + rest2 * d;
        n[i] = beta3 * n[i] + rest3 * ahead * ahead;
        const RV_REAL u = (rate1 * m[i] + rate2 * e[i]) / (RV_MATH(sqrt)(n[i]) * root + eps);
        t->out[i] = after * (before * t->w[i] - u);
    }
}
#define RV_KERNEL adan
#define RV_KERNEL_ARGS adan_args
#include "optim/kernel_loop.h"

#endif
