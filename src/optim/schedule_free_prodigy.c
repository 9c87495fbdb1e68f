/* Schedule-Free Prodigy, in the form of AlgoPerf v0.5: the weights are y, where gradients are
 * taken; z is the base iterate and x the average to evaluate.
 *     e = d lr;  num <- sqrt(beta2) num - d e <g, moved>;  s <- sqrt(beta2) s + d e g
 *     v <- beta2 v + (1 - beta2) d^2 g^2;  d' = max(d, d_coef num / sum|s|)   (moved = z - z0)
 *     u = weight_decay e x + d' e g / (sqrt(v) + d' eps);  c = n^r / sum of 1^r .. n^r
 *     y <- y + c (z - y) + (beta1 (1 - c) - 1) u;  z <- z - u
 * n counts steps with gradients.  Sums run over all tensors of the method, whatever rules gave
 * them, in double.  Reference: mlcommons/submissions_algorithms algoperf_v05
 * schedule_free_prodigy 12c8e4ea.  Deviation: moved is the sum of the updates. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/schedule_free.h"

typedef struct sfpro_args {
    rv_sf_move move; /* of a step by u, eta 1 */
    double root2, beta2, rest2, push;
    double decay, rate, floor, reach; /* weight_decay e, d' e, d' eps and 1 - 1/beta1 */
} sfpro_args;

#define RV_KERNEL_FILE "optim/schedule_free_prodigy.c"
#include "optim/kernel.h"

#define SFPRO_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                   \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the step size that is found") \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_LO, "place of y between z (0) and the average x (1)")        \
    REAL(beta2, 0.9955, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squares; its root that of the sums behind d") \
    REAL(r, 0.75, 0, 100, 0, "power of the step in the weights of the average")                       \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "times d, added to the denominator") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "at x, times the step size")  \
    REAL(d0, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "first estimate of the distance") \
    REAL(d_coef, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the estimate; what to tune")
RV_PARAM_STRUCT(sfpro_params, SFPRO_PARAMS);
RV_PARAM_TABLE(sfpro_table, "schedule_free_prodigy", sfpro_params, SFPRO_PARAMS);

enum { SLOT_Z, SLOT_V, SLOT_S, SLOT_MOVED };
enum { D, NUMERATOR, WEIGHT_SUM, COUNT };

/* total: what this step adds to num, and sum|s|. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const sfpro_params *p = run->params;
    const double d = rv_distance(run, D, p->d0), e = d * run->lr;
    const sfpro_args args = {
        .root2 = sqrt(p->beta2), .beta2 = p->beta2, .rest2 = d * d * (1 - p->beta2), .push = d * e};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(sfpro_measure), &args, total, NULL));
    total[0] *= -d * e;
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const sfpro_params *p = run->params;
    if (run->joint[1] == 0)
        return RV_OK; /* no gradient yet */
    const double old = rv_distance(run, D, p->d0), e = old * run->lr;
    const double numerator = sqrt(p->beta2) * run->scalars[NUMERATOR] + run->joint[0];
    const double d = rv_distance_grown(old, p->d_coef * numerator / run->joint[1], 0);
    const double weight = pow(run->scalars[COUNT] + 1, p->r);
    const sfpro_args args = {.move = rv_sf_move_of(1, p->beta1, weight, run->scalars[WEIGHT_SUM]),
                             .decay = p->weight_decay * e,
                             .rate = d * e,
                             .floor = d * p->eps,
                             .reach = 1 - 1 / p->beta1};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sfpro), &args));
    run->scalars[D] = d;
    run->scalars[NUMERATOR] = numerator;
    run->scalars[WEIGHT_SUM] += weight;
    run->scalars[COUNT]++;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    rv_sf_average(run, SLOT_Z, ((const sfpro_params *)run->params)->beta1, dst);
}

static const rv_slot slots[] = {{"z", rv_slot_like, true},
                                {"v", rv_slot_like, false},
                                {"s", rv_slot_like, false},
                                {"moved", rv_slot_like, false}};
static const char *const scalars[] = {"d", "numerator", "weight_sum", "count"};

const rv_method rv_method_schedule_free_prodigy = {
    .info = {.name = "schedule_free_prodigy",
             .version = 1,
             .title = "Schedule-Free Prodigy (AlgoPerf's form)",
             .equations = "e = d lr;  num <- sqrt(beta2) num - d e <g, moved>;  s <- sqrt(beta2) s + d e g   "
                          "(moved = z - z0)\n"
                          "v <- beta2 v + (1 - beta2) d^2 g^2;  d' = max(d, d_coef num / sum|s|)\n"
                          "u = weight_decay e x + d' e g / (sqrt(v) + d' eps);  c = n^r / sum of 1^r .. n^r\n"
                          "y <- y + c (z - y) + (beta1 (1 - c) - 1) u;  z <- z - u\n"
                          "evaluated at x = y + (1 - 1/beta1) (z - y)\n"
                          "num and sum|s| run over all tensors that any rule gives to schedule_free_prodigy",
             .paper = "Mishchenko & Defazio 2023, Prodigy; Defazio et al. 2024, The road less scheduled",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v05/submissions/"
                          "external_tuning/schedule_free_prodigy/submission.py",
             .deviations = "the weights are y, there x; moved is the sum of the updates of z, there a difference; nothing is "
                           "rounded to bfloat16; the second evaluation per step, whose result is not used there, is left "
                           "out; its warm-up is the trial's",
             .params = &sfpro_table,
             .state = "z: like the tensor, starts as the weights; v, s, moved: like the tensor; d, numerator, weight_sum, "
                      "count: scalars",
             .bytes_per_parameter = 16},
    .tolerance = 1e-11,
    .slots = slots,
    .slot_count = 4,
    .scalars = scalars,
    .scalar_count = 4,
    .measure = measure,
    .passes = 1,
    .step = step,
    .evaluation_weights = evaluation_weights,
};

#else

#include "optim/schedule_free_kernel.h"

RV_TILE_FUNCTION(sfpro_measure, sfpro_args)
{
    const RV_REAL root2 = (RV_REAL)a->root2, beta2 = (RV_REAL)a->beta2;
    const RV_REAL rest2 = (RV_REAL)a->rest2, push = (RV_REAL)a->push;
    RV_REAL *v = t->s[1], *s = t->s[2], *moved = t->s[3];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i];
        v[i] = beta2 * v[i] + rest2 * g * g;
        s[i] = root2 * s[i] + push * g;
    }
    RV_FN(rv_dot)(t->g, moved, t->n, t->sum[0]);
    RV_FN(rv_absolute)(s, t->n, t->sum[1]);
}
#define RV_KERNEL sfpro_measure
#define RV_KERNEL_ARGS sfpro_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(sfpro, sfpro_args)
{
    const RV_REAL decay = (RV_REAL)a->decay, rate = (RV_REAL)a->rate;
    const RV_REAL floor = (RV_REAL)a->floor, reach = (RV_REAL)a->reach;
    RV_REAL *z = t->s[0], *v = t->s[1], *moved = t->s[3], u[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL x = t->w[i] + reach * (z[i] - t->w[i]);
        u[i] = decay * x + rate * t->g[i] / (RV_MATH(sqrt)(v[i]) + floor);
        moved[i] -= u[i];
    }
    RV_FN(rv_sf_move_tile)(t, z, u, &a->move);
}
#define RV_KERNEL sfpro
#define RV_KERNEL_ARGS sfpro_args
#include "optim/kernel_loop.h"

#endif
