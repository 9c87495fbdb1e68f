/* Adam with D-Adaptation: the step size is d, a growing lower bound of the distance to the
 * solution.
 *     e = d lr (sqrt(1 - beta2^t)/(1 - beta1^t) with use_bias_correction);  q = sqrt(beta2)
 *     r <- q r + (1 - q) e <g, s / (sqrt(v) + eps)>       (s and v before this step)
 *     m <- beta1 m + (1 - beta1) e g;  v <- beta2 v + (1 - beta2) g^2;  s <- q s + (1 - q) e g
 *     d <- max(d, r / ((1 - q) sum|s|));  w <- w - e weight_decay w - m / (sqrt(v) + eps)
 * r and sum|s| run over all tensors of the method, whatever rules gave them, in double.
 * Reference: facebookresearch/dadaptation dadapt_adam.py c9849802.  Deviations: no layer_scale. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"

typedef struct dadam_args {
    double beta1, beta2, q;
    double push1, rest2, push; /* weights of g in m, of g^2 in v and of g in s */
    double coupled, eps, decay;
} dadam_args;

#define RV_KERNEL_FILE "optim/dadapt_adam.c"
#include "optim/kernel.h"

#define DADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the step size that is found") \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                         \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")               \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the denominator") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "times the step size, or L2 without decouple") \
    BOOL(decouple, false, "decay the weights themselves, not through the gradient")                    \
    BOOL(use_bias_correction, false, "Adam's bias correction in the step size")                        \
    REAL(d0, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "first estimate of the distance") \
    REAL(growth_rate, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "largest growth of d in a step; 0: no limit")
RV_PARAM_STRUCT(dadam_params, DADAM_PARAMS);
RV_PARAM_TABLE(dadam_table, "dadapt_adam", dadam_params, DADAM_PARAMS);

enum { D, NUMERATOR };

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("dadapt_adam", ((const dadam_params *)params)->growth_rate, err);
}

static double step_size(const rv_run *run)
{
    const dadam_params *p = run->params;
    const double t = (double)run->step;
    return rv_distance(run, D, p->d0) * run->lr *
           (p->use_bias_correction ? sqrt(1 - pow(p->beta2, t)) / (1 - pow(p->beta1, t)) : 1);
}

/* total: e <g, s/(sqrt(v) + eps)> and sum|s|. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadam_params *p = run->params;
    const double e = step_size(run), q = sqrt(p->beta2);
    if (run->lr == 0)
        return RV_OK;
    const dadam_args args = {.beta1 = p->beta1,
                             .beta2 = p->beta2,
                             .q = q,
                             .push1 = e * (1 - p->beta1),
                             .rest2 = 1 - p->beta2,
                             .push = e * (1 - q),
                             .coupled = p->decouple ? 0 : p->weight_decay,
                             .eps = p->eps};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dadam_measure), &args, total, NULL));
    total[0] *= e;
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const dadam_params *p = run->params;
    if (run->joint[1] == 0)
        return RV_OK; /* no gradient yet, or no learning rate */
    const double q = sqrt(p->beta2), d = rv_distance(run, D, p->d0);
    const double numerator = q * run->scalars[NUMERATOR] + (1 - q) * run->joint[0];
    const dadam_args args = {.eps = p->eps, .decay = p->decouple ? step_size(run) * p->weight_decay : 0};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dadam), &args));
    run->scalars[NUMERATOR] = numerator;
    run->scalars[D] = rv_distance_grown(d, numerator / ((1 - q) * run->joint[1]), p->growth_rate);
    return RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"s", rv_slot_like, false}};
static const char *const scalars[] = {"d", "numerator"};

const rv_method rv_method_dadapt_adam = {
    .info = {.name = "dadapt_adam",
             .version = 1,
             .title = "Adam with D-Adaptation",
             .equations = "e = d lr, times sqrt(1 - beta2^t)/(1 - beta1^t) with use_bias_correction;  q = sqrt(beta2)\n"
                          "r <- q r + (1 - q) e <g, s / (sqrt(v) + eps)>   (s and v before this step)\n"
                          "m <- beta1 m + (1 - beta1) e g;  v <- beta2 v + (1 - beta2) g^2;  s <- q s + (1 - q) e g\n"
                          "w <- w - e weight_decay w - m / (sqrt(v) + eps)\n"
                          "d <- max(d, r / ((1 - q) sum|s|)), at most growth_rate d\n"
                          "r and sum|s| run over all tensors that any rule gives to dadapt_adam",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation, algorithm 5",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_adam.py",
             .deviations = "layer_scale is not offered; growth_rate 0 stands for infinity; sums in double; steps whose "
                           "gradients are all zero count in the bias correction",
             .params = &dadam_table,
             .state = "m, v, s: like the tensor; d, numerator: scalars",
             .bytes_per_parameter = 12},
    .tolerance = 1e-11,
    .slots = slots,
    .slot_count = 3,
    .scalars = scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure,
    .passes = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(dadam_measure, dadam_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, q = (RV_REAL)a->q, eps = (RV_REAL)a->eps;
    const RV_REAL push1 = (RV_REAL)a->push1, rest2 = (RV_REAL)a->rest2, push = (RV_REAL)a->push;
    const RV_REAL coupled = (RV_REAL)a->coupled;
    RV_REAL *m = t->s[0], *v = t->s[1], *s = t->s[2];
    RV_REAL way[512 / sizeof(RV_REAL)], grad[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + coupled * t->w[i];
        grad[i] = g;
        way[i] = s[i] / (RV_MATH(sqrt)(v[i]) + eps);
        m[i] = beta1 * m[i] + push1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        s[i] = q * s[i] + push * g;
    }
    RV_FN(rv_dot)(grad, way, t->n, t->sum[0]);
    RV_FN(rv_absolute)(s, t->n, t->sum[1]);
}
#define RV_KERNEL dadam_measure
#define RV_KERNEL_ARGS dadam_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadam, dadam_args)
{
    const RV_REAL eps = (RV_REAL)a->eps, decay = (RV_REAL)a->decay;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n)
        t->out[i] = t->w[i] - decay * t->w[i] - m[i] / (RV_MATH(sqrt)(v[i]) + eps);
}
#define RV_KERNEL dadam
#define RV_KERNEL_ARGS dadam_args
#include "optim/kernel_loop.h"

#endif
