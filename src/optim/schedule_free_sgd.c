/* Schedule-Free gradient descent: the weights are y, where gradients are taken; z is the base
 * iterate and x the average to evaluate.
 *     eta = lr min(1, t/warmup_steps);  weight = t^r max(eta)^p;  c = weight / sum of weights
 *     d = g + weight_decay y;  y <- y + c (z - y) + eta (momentum (1 - c) - 1) d;  z <- z - eta d
 * Reference: facebookresearch/schedule_free 70785b53.  Deviations: none. */
#ifndef RV_REAL

#include "optim/schedule_free.h"

typedef struct sfsgd_args {
    rv_sf_move move;
    double weight_decay;
} sfsgd_args;

#define RV_KERNEL_FILE "optim/schedule_free_sgd.c"
#include "optim/kernel.h"

#define SFSGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                   \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                        \
    REAL(momentum, 0.9, 0, 1, RV_PARAM_OPEN_LO, "place of y between z (0) and the average x (1)")     \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "at y, times the learning rate") \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up")                                       \
    REAL(r, 0, 0, 100, 0, "power of the step in the weights of the average")                          \
    REAL(weight_lr_power, 2, 0, 100, 0, "power of the largest learning rate in these weights")
RV_PARAM_STRUCT(sfsgd_params, SFSGD_PARAMS);
RV_PARAM_TABLE(sfsgd_table, "schedule_free_sgd", sfsgd_params, SFSGD_PARAMS);

enum { SLOT_Z };
enum { WEIGHT_SUM, LR_MAX };

static rv_status step(const rv_run *run)
{
    const sfsgd_params *p = run->params;
    const double eta = run->lr * rv_sf_warmup(run->step, p->warmup_steps), lr_max = fmax(run->scalars[LR_MAX], eta);
    const double weight = pow((double)run->step, p->r) * pow(lr_max, p->weight_lr_power);
    const sfsgd_args args = {.move = rv_sf_move_of(eta, p->momentum, weight, run->scalars[WEIGHT_SUM]),
                             .weight_decay = p->weight_decay};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sfsgd), &args));
    run->scalars[LR_MAX] = lr_max;
    run->scalars[WEIGHT_SUM] += weight;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    rv_sf_average(run, SLOT_Z, ((const sfsgd_params *)run->params)->momentum, dst);
}

static const rv_slot slots[] = {{"z", rv_slot_like, true}};
static const char *const scalars[] = {"weight_sum", "lr_max"};

const rv_method rv_method_schedule_free_sgd = {
    .info = {.name = "schedule_free_sgd",
             .version = 1,
             .title = "Schedule-Free gradient descent",
             .equations = "eta = lr min(1, t/warmup_steps);  weight = t^r max(eta)^weight_lr_power;  "
                          "c = weight / sum of weights\n"
                          "d = g + weight_decay y\n"
                          "y <- y + c (z - y) + eta (momentum (1 - c) - 1) d;  z <- z - eta d\n"
                          "evaluated at x = y + (1 - 1/momentum) (z - y)",
             .paper = "Defazio et al. 2024, The road less scheduled",
             .reference = "facebookresearch/schedule_free 70785b53 schedulefree/sgd_schedulefree.py",
             .deviations = "none; evaluation weights are copied out, there is no evaluation mode",
             .params = &sfsgd_table,
             .state = "z: like the tensor, starts as the weights; weight_sum, lr_max: scalars",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .scalars = scalars,
    .scalar_count = 2,
    .step = step,
    .evaluation_weights = evaluation_weights,
};

#else

#include "optim/schedule_free_kernel.h"

RV_TILE_FUNCTION(sfsgd, sfsgd_args)
{
    const RV_REAL decay = (RV_REAL)a->weight_decay;
    RV_REAL d[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n)
        d[i] = t->g[i] + decay * t->w[i];
    RV_FN(rv_sf_move_tile)(t, t->s[0], d, &a->move);
}
#define RV_KERNEL sfsgd
#define RV_KERNEL_ARGS sfsgd_args
#include "optim/kernel_loop.h"

#endif
