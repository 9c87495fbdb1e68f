/* Schedule-Free AdamW: the weights are y, where gradients are taken; z is the base iterate
 * and x the average to evaluate, which is not stored: x = y + (1 - 1/beta1) (z - y).
 *     eta = lr min(1, t/warmup_steps);  weight = t^r max(eta)^p;  c = weight / sum of weights
 *     v <- beta2 v + (1 - beta2) g^2;  d = g / (sqrt(v/(1 - beta2^t)) + eps) + weight_decay y
 *     y <- y + c (z - y) + eta (beta1 (1 - c) - 1) d;  z <- z - eta d
 * form paper: eta also times sqrt(1 - beta2^t), and no correction under the root.
 * Reference: facebookresearch/schedule_free 70785b53.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct sf_args {
    double mix, back, eta; /* c, eta (beta1 (1 - c) - 1) and eta */
    double beta2, rest2, root, eps, weight_decay;
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
    CHOICE(form, "library|paper", "library", "where the second moment is corrected for bias")
RV_PARAM_STRUCT(sf_params, SF_PARAMS);
RV_PARAM_TABLE(sf_table, "schedule_free_adamw", sf_params, SF_PARAMS);

enum { SLOT_Z, SLOT_V, SLOT_M };
enum { WEIGHT_SUM, LR_MAX };
enum { LIBRARY, PAPER };

static bool inner_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const sf_params *)params)->inner_momentum > 0 && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const sf_params *p = run->params;
    const double t = (double)run->step, correction = 1 - pow(p->beta2, t);
    double eta = run->lr * (run->step < p->warmup_steps ? t / (double)p->warmup_steps : 1);
    if (p->form == PAPER)
        eta *= sqrt(correction);
    const double lr_max = fmax(run->scalars[LR_MAX], eta);
    const double weight = pow(t, p->r) * pow(lr_max, p->weight_lr_power);
    const double sum = run->scalars[WEIGHT_SUM] + weight;
    const double mix = sum > 0 ? weight / sum : 0;
    const sf_args args = {.mix = mix,
                          .back = eta * (p->beta1 * (1 - mix) - 1),
                          .eta = eta,
                          .beta2 = p->beta2,
                          .rest2 = 1 - p->beta2,
                          .root = p->form == PAPER ? 1 : 1 / sqrt(correction),
                          .eps = p->eps,
                          .weight_decay = p->weight_decay,
                          .inner = p->inner_momentum,
                          .inner_rest = 1 - p->inner_momentum,
                          .inner_scale = 1 / (1 - pow(p->inner_momentum, t))};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sf), &args));
    run->scalars[LR_MAX] = lr_max;
    run->scalars[WEIGHT_SUM] = sum;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    const double beta1 = ((const sf_params *)run->params)->beta1;
    for (int k = 0; k < run->count; k++) {
        const int64_t n = rv_shape_size(&run->tensors[k].shape);
        if (run->dtype == RV_F32)
            sf_average_f32(run->w[k], rv_run_slot(run, k, SLOT_Z), dst[k], n, beta1);
        else
            sf_average_f64(run->w[k], rv_run_slot(run, k, SLOT_Z), dst[k], n, beta1);
    }
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
                          "form paper: eta times sqrt(1 - beta2^t), d = g / (sqrt(v) + eps) + weight_decay y",
             .paper = "Defazio et al. 2024, The road less scheduled",
             .reference = "facebookresearch/schedule_free 70785b53 schedulefree/adamw_schedulefree.py "
                          "(form library) and adamw_schedulefree_paper.py (form paper)",
             .deviations = "none; evaluation weights are copied out, there is no evaluation mode",
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

RV_TILE_FUNCTION(sf, sf_args)
{
    const RV_REAL mix = (RV_REAL)a->mix, back = (RV_REAL)a->back, eta = (RV_REAL)a->eta;
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2, root = (RV_REAL)a->root;
    const RV_REAL eps = (RV_REAL)a->eps, decay = (RV_REAL)a->weight_decay;
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
        const RV_REAL g = t->g[i], y = t->w[i];
        v[i] = beta2 * v[i] + rest2 * g * g;
        const RV_REAL direction = d[i] / (RV_MATH(sqrt)(v[i]) * root + eps) + decay * y;
        t->out[i] = y + mix * (z[i] - y) + back * direction;
        z[i] -= eta * direction;
    }
}
#define RV_KERNEL sf
#define RV_KERNEL_ARGS sf_args
#include "optim/kernel_loop.h"

static void RV_FN(sf_average)(const RV_REAL *y, const RV_REAL *z, RV_REAL *x, int64_t n, double beta1)
{
    const RV_REAL reach = (RV_REAL)(1 - 1 / beta1);
    for (int64_t i = 0; i < n; i++)
        x[i] = y[i] + reach * (z[i] - y[i]);
}

#endif
