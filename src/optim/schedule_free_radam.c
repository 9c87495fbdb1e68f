/* Schedule-Free RAdam: the rectification of RAdam in place of a warm-up; the weights are y,
 * where gradients are taken, z is the base iterate and x the average to evaluate.
 *     rho_inf = 2/(1 - beta2) - 1;  rho = rho_inf - 2 t beta2^t/(1 - beta2^t)
 *     rho > 4:  eta = lr sqrt((rho-4)(rho-2)rho_inf / ((rho_inf-4)(rho_inf-2)rho)),
 *               d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y
 *     else:     eta = 0 with silent_sgd_phase, else lr;  d = g + weight_decay y
 *     v <- beta2 v + (1 - beta2) g^2;  weight = t^r max(eta)^p;  c = weight / sum of weights
 *     y <- y + c (z - y) + eta (beta1 (1 - c) - 1) d;  z <- z - eta d
 * Reference: facebookresearch/schedule_free 70785b53.  Deviations: none. */
#ifndef RV_REAL

#include "optim/schedule_free.h"

typedef struct sfradam_args {
    rv_sf_move move;
    double beta2, rest2, root, eps, weight_decay;
    bool adaptive; /* divide by the second moment */
} sfradam_args;

#define RV_KERNEL_FILE "optim/schedule_free_radam.c"
#include "optim/kernel.h"

#define SFRADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    REAL(lr, 2.5e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_LO, "place of y between z (0) and the average x (1)")        \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")              \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the denominator") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "at y, times the learning rate") \
    REAL(r, 0, 0, 100, 0, "power of the step in the weights of the average")                          \
    REAL(weight_lr_power, 2, 0, 100, 0, "power of the largest learning rate in these weights")        \
    BOOL(silent_sgd_phase, true, "no steps, not gradient descent, while the second moment is too young")
RV_PARAM_STRUCT(sfradam_params, SFRADAM_PARAMS);
RV_PARAM_TABLE(sfradam_table, "schedule_free_radam", sfradam_params, SFRADAM_PARAMS);

enum { SLOT_Z, SLOT_V };
enum { WEIGHT_SUM, LR_MAX };

/* RAdam's factor on the learning rate, or 0 while the variance is not tractable. */
static double rectification(double beta2, double t)
{
    const double power = pow(beta2, t), most = 2 / (1 - beta2) - 1, rho = most - 2 * t * power / (1 - power);
    if (!(rho > 4))
        return 0;
    return sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
}

static rv_status step(const rv_run *run)
{
    const sfradam_params *p = run->params;
    const double t = (double)run->step, rectified = rectification(p->beta2, t);
    const double eta = run->lr * (rectified > 0 ? rectified : p->silent_sgd_phase ? 0 : 1);
    const double lr_max = fmax(run->scalars[LR_MAX], eta);
    const double weight = pow(t, p->r) * pow(lr_max, p->weight_lr_power);
    const sfradam_args args = {.move = rv_sf_move_of(eta, p->beta1, weight, run->scalars[WEIGHT_SUM]),
                               .beta2 = p->beta2,
                               .rest2 = 1 - p->beta2,
                               .root = 1 / sqrt(1 - pow(p->beta2, t)),
                               .eps = p->eps,
                               .weight_decay = p->weight_decay,
                               .adaptive = rectified > 0};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sfradam), &args));
    run->scalars[LR_MAX] = lr_max;
    run->scalars[WEIGHT_SUM] += weight;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    rv_sf_average(run, SLOT_Z, ((const sfradam_params *)run->params)->beta1, dst);
}

static const rv_slot slots[] = {{"z", rv_slot_like, true}, {"v", rv_slot_like, false}};
static const char *const scalars[] = {"weight_sum", "lr_max"};

const rv_method rv_method_schedule_free_radam = {
    .info = {.name = "schedule_free_radam",
             .version = 1,
             .title = "Schedule-Free RAdam",
             .equations = "rho_inf = 2/(1 - beta2) - 1;  rho = rho_inf - 2 t beta2^t/(1 - beta2^t)\n"
                          "rho > 4: eta = lr sqrt((rho-4)(rho-2)rho_inf / ((rho_inf-4)(rho_inf-2)rho)),  "
                          "d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y\n"
                          "else: eta = 0 with silent_sgd_phase, else lr;  d = g + weight_decay y\n"
                          "v <- beta2 v + (1 - beta2) g^2;  weight = t^r max(eta)^weight_lr_power;  "
                          "c = weight / sum of weights\n"
                          "y <- y + c (z - y) + eta (beta1 (1 - c) - 1) d;  z <- z - eta d\n"
                          "evaluated at x = y + (1 - 1/beta1) (z - y)",
             .paper = "Defazio et al. 2024, The road less scheduled; Liu et al. 2020, On the variance of the adaptive "
                      "learning rate and beyond",
             .reference = "facebookresearch/schedule_free 70785b53 schedulefree/radam_schedulefree.py",
             .deviations = "none; evaluation weights are copied out, there is no evaluation mode",
             .params = &sfradam_table,
             .state = "z: like the tensor, starts as the weights; v: like the tensor; weight_sum, lr_max: scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .scalars = scalars,
    .scalar_count = 2,
    .step = step,
    .evaluation_weights = evaluation_weights,
};

#else

#include "optim/schedule_free_kernel.h"

RV_TILE_FUNCTION(sfradam, sfradam_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2, root = (RV_REAL)a->root;
    const RV_REAL eps = (RV_REAL)a->eps, decay = (RV_REAL)a->weight_decay;
    RV_REAL *v = t->s[1], d[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i];
        v[i] = beta2 * v[i] + rest2 * g * g;
        d[i] = (a->adaptive ? g / (RV_MATH(sqrt)(v[i]) * root + eps) : g) + decay * t->w[i];
    }
    RV_FN(rv_sf_move_tile)(t, t->s[0], d, &a->move);
}
#define RV_KERNEL sfradam
#define RV_KERNEL_ARGS sfradam_args
#include "optim/kernel_loop.h"

#endif
