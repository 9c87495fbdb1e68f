/* Adan with D-Adaptation.
 *     e = d lr;  h = g - g_before (0 in the first step)
 *     m <- beta1 m + (1 - beta1) e g;  n <- beta2 n + (1 - beta2) e h
 *     v <- beta3 v + (1 - beta3) (g + beta2 h)^2;  a = sqrt(v) + eps;  s <- beta3 s + (1 - beta3) e g
 *     G <- beta3 G + (1 - beta3) e^2 sum g^2/a;  d <- max(d, (sum s^2/a / (1 - beta3) - G) / sum|s|)
 *     w <- (w - (m + beta2 n)/a) / (1 + e weight_decay)
 * no_prox: w <- w (1 - e weight_decay) - (m + beta2 n)/a.  Sums run over all tensors of the
 * method, whatever rules gave them, in double.
 * Reference: facebookresearch/dadaptation dadapt_adan.py c9849802.  Deviations: none. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"

typedef struct dadan_args {
    double beta1, beta2, beta3, push1, push2, rest3, push3, eps;
    double before; /* 1, or 0 in the first step, where there is no gradient before */
    double keep, shrink;
} dadan_args;

#define RV_KERNEL_FILE "optim/dadapt_adan.c"
#include "optim/kernel.h"

#define DADAN_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the step size that is found") \
    REAL(beta1, 0.98, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                        \
    REAL(beta2, 0.92, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradient differences")             \
    REAL(beta3, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squares, and of the sums behind d") \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the denominator") \
    REAL(weight_decay, 0.02, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the step size") \
    BOOL(no_prox, false, "decay before the step, not as its proximal part")                            \
    REAL(d0, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "first estimate of the distance") \
    REAL(growth_rate, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "largest growth of d in a step; 0: no limit")
RV_PARAM_STRUCT(dadan_params, DADAN_PARAMS);
RV_PARAM_TABLE(dadan_table, "dadapt_adan", dadan_params, DADAN_PARAMS);

enum { D, SQUARES };

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("dadapt_adan", ((const dadan_params *)params)->growth_rate, err);
}

/* total: (1 - beta3) e^2 sum g^2/a, sum s^2/a and sum|s|. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadan_params *p = run->params;
    const double e = rv_distance(run, D, p->d0) * run->lr;
    const dadan_args args = {.beta1 = p->beta1,
                             .beta2 = p->beta2,
                             .beta3 = p->beta3,
                             .push1 = e * (1 - p->beta1),
                             .push2 = e * (1 - p->beta2),
                             .rest3 = 1 - p->beta3,
                             .push3 = e * (1 - p->beta3),
                             .eps = p->eps,
                             .before = run->step > 1};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dadan_measure), &args, total, NULL));
    total[0] *= e * e * (1 - p->beta3);
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const dadan_params *p = run->params;
    if (run->joint[2] == 0)
        return RV_OK; /* no gradient yet */
    const double d = rv_distance(run, D, p->d0), decay = d * run->lr * p->weight_decay;
    const double squares = p->beta3 * run->scalars[SQUARES] + run->joint[0];
    const dadan_args args = {.beta2 = p->beta2,
                             .eps = p->eps,
                             .keep = p->no_prox ? 1 - decay : 1,
                             .shrink = p->no_prox ? 1 : 1 + decay};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dadan), &args));
    run->scalars[SQUARES] = squares;
    if (run->lr > 0)
        run->scalars[D] = rv_distance_grown(
            d, (run->joint[1] / (1 - p->beta3) - squares) / run->joint[2], p->growth_rate);
    return RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false},
                                {"n", rv_slot_like, false},
                                {"v", rv_slot_like, false},
                                {"s", rv_slot_like, false},
                                {"before", rv_slot_like, false}};
static const char *const scalars[] = {"d", "squares"};

const rv_method rv_method_dadapt_adan = {
    .info = {.name = "dadapt_adan",
             .version = 1,
             .title = "Adan with D-Adaptation",
             .equations = "e = d lr;  h = g - g_before, 0 in the first step\n"
                          "m <- beta1 m + (1 - beta1) e g;  n <- beta2 n + (1 - beta2) e h\n"
                          "v <- beta3 v + (1 - beta3) (g + beta2 h)^2;  a = sqrt(v) + eps\n"
                          "s <- beta3 s + (1 - beta3) e g;  G <- beta3 G + (1 - beta3) e^2 sum g^2/a\n"
                          "w <- (w - (m + beta2 n)/a) / (1 + e weight_decay)\n"
                          "no_prox: w <- w (1 - e weight_decay) - (m + beta2 n)/a\n"
                          "d <- max(d, (sum s^2/a / (1 - beta3) - G) / sum|s|), at most growth_rate d\n"
                          "sums run over all tensors that any rule gives to dadapt_adan",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation; Xie et al. 2022, Adan",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_adan.py",
             .deviations = "none; growth_rate 0 stands for infinity; sums in double",
             .params = &dadan_table,
             .state = "m, n, v, s, before: like the tensor; d, squares (G): scalars",
             .bytes_per_parameter = 20},
    .tolerance = 1e-11,
    .slots = slots,
    .slot_count = 5,
    .scalars = scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure,
    .passes = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(dadan_measure, dadan_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, beta3 = (RV_REAL)a->beta3;
    const RV_REAL push1 = (RV_REAL)a->push1, push2 = (RV_REAL)a->push2, push3 = (RV_REAL)a->push3;
    const RV_REAL rest3 = (RV_REAL)a->rest3, eps = (RV_REAL)a->eps, before = (RV_REAL)a->before;
    RV_REAL *m = t->s[0], *n = t->s[1], *v = t->s[2], *s = t->s[3], *last = t->s[4];
    RV_REAL over[512 / sizeof(RV_REAL)], part[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i], h = before * (g - last[i]), u = g + beta2 * h;
        last[i] = g;
        m[i] = beta1 * m[i] + push1 * g;
        n[i] = beta2 * n[i] + push2 * h;
        v[i] = beta3 * v[i] + rest3 * u * u;
        s[i] = beta3 * s[i] + push3 * g;
        const RV_REAL root = RV_MATH(sqrt)(v[i]) + eps;
        over[i] = g / root;
        part[i] = s[i] / root;
    }
    RV_FN(rv_dot)(t->g, over, t->n, t->sum[0]);
    RV_FN(rv_dot)(s, part, t->n, t->sum[1]);
    RV_FN(rv_absolute)(s, t->n, t->sum[2]);
}
#define RV_KERNEL dadan_measure
#define RV_KERNEL_ARGS dadan_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadan, dadan_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, eps = (RV_REAL)a->eps;
    const RV_REAL keep = (RV_REAL)a->keep, shrink = (RV_REAL)a->shrink;
    RV_REAL *m = t->s[0], *n = t->s[1], *v = t->s[2];
    RV_EACH (i, t->n)
        t->out[i] = (keep * t->w[i] - (m[i] + beta2 * n[i]) / (RV_MATH(sqrt)(v[i]) + eps)) / shrink;
}
#define RV_KERNEL dadan
#define RV_KERNEL_ARGS dadan_args
#include "optim/kernel_loop.h"

#endif
