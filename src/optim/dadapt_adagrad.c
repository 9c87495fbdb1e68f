/* AdaGrad with D-Adaptation, in the dual-averaging form.
 *     e = d lr;  g <- g + weight_decay w;  A <- A + g^2 (from 1e-6);  s <- s + e g
 *     G <- G + e^2 sum g^2/a,  a = sqrt(A) + eps;  d <- max(d, (sum s^2/a - G) / sum|s|)
 *     w <- momentum w + (1 - momentum) (x0 - s/a)
 * Sums run over all tensors of the method, whatever rules gave them, in double.
 * Reference: facebookresearch/dadaptation dadapt_adagrad.py c9849802.  Deviation: the sums
 * over s are taken anew, the reference adds their changes. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"

typedef struct dadagrad_args {
    double rate, coupled, eps, momentum, rest;
} dadagrad_args;

#define RV_KERNEL_FILE "optim/dadapt_adagrad.c"
#include "optim/kernel.h"

#define DADAGRAD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the step size that is found") \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "share of the old weights in the new ones")              \
    REAL(eps, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the denominator")          \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the gradient (L2)")  \
    REAL(d0, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "first estimate of the distance") \
    REAL(growth_rate, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "largest growth of d in a step; 0: no limit")
RV_PARAM_STRUCT(dadagrad_params, DADAGRAD_PARAMS);
RV_PARAM_TABLE(dadagrad_table, "dadapt_adagrad", dadagrad_params, DADAGRAD_PARAMS);

enum { D, SQUARES };

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("dadapt_adagrad", ((const dadagrad_params *)params)->growth_rate, err);
}

/* total: e^2 sum g^2/a, sum s^2/a and sum|s|. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dadagrad_params *p = run->params;
    const dadagrad_args args = {
        .rate = rv_distance(run, D, p->d0) * run->lr, .coupled = p->weight_decay, .eps = p->eps};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dadagrad_measure), &args, total, NULL));
    total[0] *= args.rate * args.rate;
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const dadagrad_params *p = run->params;
    if (run->joint[2] == 0)
        return RV_OK; /* no gradient yet */
    const double squares = run->scalars[SQUARES] + run->joint[0];
    const dadagrad_args args = {.eps = p->eps, .momentum = p->momentum, .rest = 1 - p->momentum};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dadagrad), &args));
    run->scalars[SQUARES] = squares;
    if (run->lr > 0)
        run->scalars[D] = rv_distance_grown(rv_distance(run, D, p->d0),
                                            (run->joint[1] - squares) / run->joint[2], p->growth_rate);
    return RV_OK;
}

static const rv_slot slots[] = {{"v", rv_slot_like, false}, {"s", rv_slot_like, false}, {"x0", rv_slot_like, true}};
static const char *const scalars[] = {"d", "squares"};

const rv_method rv_method_dadapt_adagrad = {
    .info = {.name = "dadapt_adagrad",
             .version = 1,
             .title = "AdaGrad with D-Adaptation",
             .equations = "e = d lr;  g <- g + weight_decay w\n"
                          "v <- v + g^2;  a = sqrt(1e-6 + v) + eps;  s <- s + e g;  G <- G + e^2 sum g^2/a\n"
                          "w <- momentum w + (1 - momentum) (x0 - s/a)\n"
                          "d <- max(d, (sum s^2/a - G) / sum|s|), at most growth_rate d\n"
                          "sums run over all tensors that any rule gives to dadapt_adagrad",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation, algorithm 3",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_adagrad.py (dense gradients)",
             .deviations = "sum s^2/a and sum|s| are taken anew in every step, the reference adds their changes; "
                           "growth_rate 0 stands for infinity; sums in double",
             .params = &dadagrad_table,
             .state = "v, s: like the tensor; x0: like the tensor, the first weights; d, squares (G): scalars",
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

RV_TILE_FUNCTION(dadagrad_measure, dadagrad_args)
{
    const RV_REAL rate = (RV_REAL)a->rate, coupled = (RV_REAL)a->coupled, eps = (RV_REAL)a->eps;
    RV_REAL *v = t->s[0], *s = t->s[1];
    RV_REAL grad[512 / sizeof(RV_REAL)], over[512 / sizeof(RV_REAL)], part[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + coupled * t->w[i];
        v[i] += g * g;
        s[i] += rate * g;
        const RV_REAL root = RV_MATH(sqrt)((RV_REAL)1e-6 + v[i]) + eps;
        grad[i] = g;
        over[i] = g / root;
        part[i] = s[i] / root;
    }
    RV_FN(rv_dot)(grad, over, t->n, t->sum[0]);
    RV_FN(rv_dot)(s, part, t->n, t->sum[1]);
    RV_FN(rv_absolute)(s, t->n, t->sum[2]);
}
#define RV_KERNEL dadagrad_measure
#define RV_KERNEL_ARGS dadagrad_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadagrad, dadagrad_args)
{
    const RV_REAL momentum = (RV_REAL)a->momentum, rest = (RV_REAL)a->rest, eps = (RV_REAL)a->eps;
    RV_REAL *v = t->s[0], *s = t->s[1], *x0 = t->s[2];
    RV_EACH (i, t->n) {
        const RV_REAL root = RV_MATH(sqrt)((RV_REAL)1e-6 + v[i]) + eps;
        t->out[i] = momentum * t->w[i] + rest * (x0[i] - s[i] / root);
    }
}
#define RV_KERNEL dadagrad
#define RV_KERNEL_ARGS dadagrad_args
#include "optim/kernel_loop.h"

#endif
