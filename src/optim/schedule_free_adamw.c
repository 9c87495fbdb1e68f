/* Schedule-Free AdamW: the weights are y, where gradients are taken; z is the base iterate
 * and x the average to evaluate, which is not stored: x = y + (1 - 1/beta1) (z - y).
 *     eta = lr min(1, t/warmup_steps);  weight = t^r max(eta)^p;  c = weight / sum of weights
 *     v <- beta2 v + (1 - beta2) g^2;  d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y
 *     y <- y + c (z - y) + eta (beta1 (1 - c) - 1) d;  z <- z - eta d
 * form paper: eta also times sqrt(1 - beta2^t), and no correction under the root.
 * forms algoperf_v05, algoperf_v06: eta = max(eta, eps) weighs, eta sqrt(1 - beta2^t) moves, no
 * correction under the root; v05 decays at x, v06 weighs with eta itself, not with the largest.
 * Reference: facebookresearch/schedule_free 70785b53; mlcommons/submissions_algorithms 12c8e4ea. */
#ifndef RV_REAL

#include "optim/schedule_free.h"

typedef struct sf_args {
    rv_sf_move move;
    double beta2, rest2, root, eps, weight_decay;
    double reach; /* decay at y + reach (z - y): 0, or 1 - 1/beta1 for x */
    double inner, inner_rest, inner_scale;
} sf_args;

#define RV_KERNEL_FILE "optim/schedule_free_adamw.c"
#include "optim/kernel.h"

#define SF_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                      \
    REAL(lr, 2.5e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_LO, "place of y between z (0) and the average x (1)")        \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")              \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the denominator")         \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "at y, times the learning rate") \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up")                                       \
    REAL(r, 0, 0, 100, 0, "power of the step in the weights of the average")                          \
    REAL(weight_lr_power, 2, 0, 100, 0, "power of the largest learning rate in these weights")        \
    REAL(inner_momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "momentum of the gradient itself; 0: none")       \
    CHOICE(form, "library|paper|algoperf_v05|algoperf_v06", "library", "whose: see the equations")
RV_PARAM_STRUCT(sf_params, SF_PARAMS);
RV_PARAM_TABLE(sf_table, "schedule_free_adamw", sf_params, SF_PARAMS);

enum { SLOT_Z, SLOT_V, SLOT_M };
enum { WEIGHT_SUM, LR_MAX };
enum { LIBRARY, PAPER, ALGOPERF_V05, ALGOPERF_V06 };

static bool inner_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const sf_params *)params)->inner_momentum > 0 && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const sf_params *p = run->params;
    const double t = (double)run->step, correction = 1 - pow(p->beta2, t);
    double eta = run->lr * rv_sf_warmup(run->step, p->warmup_steps), rate = eta;
    if (p->form == ALGOPERF_V05 || p->form == ALGOPERF_V06)
        eta = fmax(eta, p->eps);
    if (p->form != LIBRARY)
        rate = eta * sqrt(correction);
    if (p->form == PAPER)
        eta = rate;
    const double lr_max = fmax(run->scalars[LR_MAX], eta);
    const double weight = pow(t, p->r) * pow(p->form == ALGOPERF_V06 ? eta : lr_max, p->weight_lr_power);
    const sf_args args = {.move = rv_sf_move_of(rate, p->beta1, weight, run->scalars[WEIGHT_SUM]),
                          .beta2 = p->beta2,
                          .rest2 = 1 - p->beta2,
                          .root = p->form == LIBRARY ? 1 / sqrt(correction) : 1,
                          .eps = p->eps,
                          .weight_decay = p->weight_decay,
                          .reach = p->form == ALGOPERF_V05 ? 1 - 1 / p->beta1 : 0,
                          .inner = p->inner_momentum,
                          .inner_rest = 1 - p->inner_momentum,
                          .inner_scale = 1 / (1 - pow(p->inner_momentum, t))};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sf), &args));
    run->scalars[LR_MAX] = lr_max;
    run->scalars[WEIGHT_SUM] += weight;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    rv_sf_average(run, SLOT_Z, ((const sf_params *)run->params)->beta1, dst);
}

static const rv_slot slots[] = {
    {"z", rv_slot_like, true}, {"v", rv_slot_like, false}, {"m", inner_shape, false}};
static const char *const scalars[] = {"weight_sum", "lr_max"};

const rv_method rv_method_schedule_free_adamw = {
    .info = {.name = "schedule_free_adamw",
             .version = 1,
             .title = "Schedule-Free AdamW",
             .equations = "eta = lr min(1, t/warmup_steps);  weight = t^r max(eta)^weight_lr_power;  "
                          "c = weight / sum of weights\n"
                          "v <- beta2 v + (1 - beta2) g^2;  d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y\n"
                          "y <- y + c (z - y) + eta (beta1 (1 - c) - 1) d;  z <- z - eta d\n"
                          "evaluated at x = y + (1 - 1/beta1) (z - y)\n"
                          "inner_momentum a: m <- a m + (1 - a) g, and m/(1 - a^t) in place of g\n"
                          "form paper: eta times sqrt(1 - beta2^t), d = g / (sqrt(v) + eps) + weight_decay y\n"
                          "form algoperf_v05: the weight from max(eta, eps); z moves by max(eta, eps) sqrt(1 - beta2^t) d, "
                          "d = g / (sqrt(v) + eps) + weight_decay x\n"
                          "form algoperf_v06: as v05, but weight_decay y, and the weight of eta itself, not of the largest",
             .paper = "Defazio et al. 2024, The road less scheduled",
             .reference = "facebookresearch/schedule_free 70785b53 schedulefree/adamw_schedulefree.py "
                          "(form library) and adamw_schedulefree_paper.py (form paper); mlcommons/submissions_algorithms "
                          "12c8e4ea previous_leaderboards external_tuning: algoperf_v05 schedule_free_adamw, algoperf_v06 "
                          "schedule_free_adamw_v2",
             .deviations = "none; evaluation weights are copied out, there is no evaluation mode; the weights are y in "
                           "the AlgoPerf forms too, whose code keeps x (r of algoperf_v05 is 0.75 there), and v is not "
                           "rounded to bfloat16",
             .params = &sf_table,
             .state = "z: like the tensor, starts as the weights; v: like the tensor; m: like the tensor, only "
                      "with inner_momentum > 0; weight_sum, lr_max: scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .scalars = scalars,
    .scalar_count = 2,
    .step = step,
    .evaluation_weights = evaluation_weights,
};

#else

#include "optim/schedule_free_kernel.h"

RV_TILE_FUNCTION(sf, sf_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2, root = (RV_REAL)a->root;
    const RV_REAL eps = (RV_REAL)a->eps, decay = (RV_REAL)a->weight_decay, reach = (RV_REAL)a->reach;
    const RV_REAL inner = (RV_REAL)a->inner, rest = (RV_REAL)a->inner_rest, scale = (RV_REAL)a->inner_scale;
    RV_REAL *z = t->s[0], *v = t->s[1], *m = t->s[2];
    RV_REAL d[RV_TILE];
    if (m)
        RV_EACH (i, t->n) {
            m[i] = inner * m[i] + rest * t->g[i];
            d[i] = m[i] * scale;
        }
    else
        RV_EACH (i, t->n)
            d[i] = t->g[i];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i], at = t->w[i] + reach * (z[i] - t->w[i]);
        v[i] = beta2 * v[i] + rest2 * g * g;
        d[i] = d[i] / (RV_MATH(sqrt)(v[i]) * root + eps) + decay * at;
    }
    RV_FN(rv_sf_move_tile)(t, z, d, &a->move);
}
#define RV_KERNEL sf
#define RV_KERNEL_ARGS sf_args
#include "optim/kernel_loop.h"

#endif
