/* Schedule-Free AdamW with dual averaging, the weighted form of AlgoPerf v0.6: z is the first
 * weights less a sum of all directions, not a step from the last z.
 *     eta = lr min(1, t/warmup_steps);  k = t^r;  weight = k max(eta, eps)^p;  c = weight / sum
 *     v <- beta2 v + (1 - beta2) g^2;  d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y
 *     s <- s + k eta d;  z <- z0 - s/k;  x <- (1 - c) x + c z;  y <- beta1 x + (1 - beta1) z
 * The weights are y, where gradients are taken; neither z nor x is stored.
 * Reference: mlcommons/submissions_algorithms algoperf_v06 weighted_schedule_free_adamw 12c8e4ea. */
#ifndef RV_REAL

#include "optim/schedule_free.h"

typedef struct sfdual_args {
    rv_sf_move move;               /* of a step by d = z - new z, eta 1 */
    double before, now, push;      /* 1/k of the step before and of this one; k eta */
    double beta2, rest2, root, eps, weight_decay;
} sfdual_args;

#define RV_KERNEL_FILE "optim/schedule_free_weighted.c"
#include "optim/kernel.h"

#define SFDUAL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    REAL(lr, 2.5e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_LO, "place of y between z (0) and the average x (1)")        \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")              \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the denominator; least rate in the weights") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "at y, times the learning rate") \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up")                                       \
    REAL(r, 1, 0, 100, 0, "power of the step in the weights of directions and of the average")        \
    REAL(weight_lr_power, 2, 0, 100, 0, "power of the learning rate in the weights of the average")
RV_PARAM_STRUCT(sfdual_params, SFDUAL_PARAMS);
RV_PARAM_TABLE(sfdual_table, "schedule_free_weighted", sfdual_params, SFDUAL_PARAMS);

enum { SLOT_Z0, SLOT_S, SLOT_V };
enum { WEIGHT_SUM };

/* 1/k after `steps` steps; before the first s is 0 and any number does. */
static double inverse_power(const sfdual_params *p, int64_t steps)
{
    return steps > 0 ? pow((double)steps, -p->r) : 1;
}

static rv_status step(const rv_run *run)
{
    const sfdual_params *p = run->params;
    const double t = (double)run->step, eta = run->lr * rv_sf_warmup(run->step, p->warmup_steps), k = pow(t, p->r);
    const double weight = k * pow(fmax(eta, p->eps), p->weight_lr_power);
    const sfdual_args args = {.move = rv_sf_move_of(1, p->beta1, weight, run->scalars[WEIGHT_SUM]),
                              .before = inverse_power(p, run->step - 1),
                              .now = inverse_power(p, run->step),
                              .push = k * eta,
                              .beta2 = p->beta2,
                              .rest2 = 1 - p->beta2,
                              .root = 1 / sqrt(1 - pow(p->beta2, t)),
                              .eps = p->eps,
                              .weight_decay = p->weight_decay};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sfdual), &args));
    run->scalars[WEIGHT_SUM] += weight;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    const sfdual_params *p = run->params;
    const double reach = 1 - 1 / p->beta1, inverse = inverse_power(p, run->step - 1);
    for (int k = 0; k < run->count; k++) {
        const int64_t n = rv_shape_size(&run->tensors[k].shape);
        const void *z0 = rv_run_slot(run, k, SLOT_Z0), *s = rv_run_slot(run, k, SLOT_S);
        if (run->dtype == RV_F32)
            sfdual_average_f32(run->w[k], z0, s, dst[k], n, reach, inverse);
        else
            sfdual_average_f64(run->w[k], z0, s, dst[k], n, reach, inverse);
    }
}

static const rv_slot slots[] = {{"z0", rv_slot_like, true}, {"s", rv_slot_like, false}, {"v", rv_slot_like, false}};
static const char *const scalars[] = {"weight_sum"};

const rv_method rv_method_schedule_free_weighted = {
    .info = {.name = "schedule_free_weighted",
             .version = 1,
             .title = "Schedule-Free AdamW with dual averaging",
             .equations = "eta = lr min(1, t/warmup_steps);  k = t^r;  weight = k max(eta, eps)^weight_lr_power;  "
                          "c = weight / sum of weights\n"
                          "v <- beta2 v + (1 - beta2) g^2;  d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y\n"
                          "s <- s + k eta d;  z <- z0 - s/k;  x <- (1 - c) x + c z;  y <- beta1 x + (1 - beta1) z\n"
                          "evaluated at x = y + (1 - 1/beta1) (z - y)",
             .paper = "Defazio et al. 2024, The road less scheduled; dual averaging: Nesterov 2009",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v06/submissions/"
                          "external_tuning/weighted_schedule_free_adamw/submission.py",
             .deviations = "the weights are y, there x; z follows from z0 and s and is not stored; nothing is rounded to "
                           "bfloat16",
             .params = &sfdual_table,
             .state = "z0: like the tensor, the first weights; s, v: like the tensor; weight_sum: scalar",
             .bytes_per_parameter = 12},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .scalars = scalars,
    .scalar_count = 1,
    .step = step,
    .evaluation_weights = evaluation_weights,
};

#else

#include "optim/schedule_free_kernel.h"

RV_TILE_FUNCTION(sfdual, sfdual_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2, root = (RV_REAL)a->root;
    const RV_REAL eps = (RV_REAL)a->eps, decay = (RV_REAL)a->weight_decay, push = (RV_REAL)a->push;
    const RV_REAL before = (RV_REAL)a->before, now = (RV_REAL)a->now;
    RV_REAL *z0 = t->s[0], *s = t->s[1], *v = t->s[2];
    RV_REAL z[512 / sizeof(RV_REAL)], d[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i], old = s[i] * before;
        v[i] = beta2 * v[i] + rest2 * g * g;
        s[i] += push * (g / (RV_MATH(sqrt)(v[i]) * root + eps) + decay * t->w[i]);
        z[i] = z0[i] - old;
        d[i] = s[i] * now - old;
    }
    RV_FN(rv_sf_move_tile)(t, z, d, &a->move);
}
#define RV_KERNEL sfdual
#define RV_KERNEL_ARGS sfdual_args
#include "optim/kernel_loop.h"

static void RV_FN(sfdual_average)(const RV_REAL *y, const RV_REAL *z0, const RV_REAL *s, RV_REAL *x, int64_t n,
                                  double reach, double inverse)
{
    const RV_REAL way = (RV_REAL)reach, scale = (RV_REAL)inverse;
    for (int64_t i = 0; i < n; i++)
        x[i] = y[i] + way * ((z0[i] - s[i] * scale) - y[i]);
}

#endif
