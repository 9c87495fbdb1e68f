/* Averaged SGD: gradient descent with a decaying rate, and the mean of its iterates from step t0
 * on, which is what is evaluated.
 *     g <- g + weight_decay w;  eta = lr / (1 + lambd lr (t - 1))^alpha
 *     w <- w (1 - lambd eta) - eta g
 *     a <- a + (w - a) / max(1, t - 1 - t0)        (a <- w while that is 1)
 * Reference: pytorch torch/optim/asgd.py 2.6.0.  Deviation: pytorch fixes eta one step ahead, so
 * that a schedule acts a step later there. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct asgd_args {
    double eta, keep, l2, mix; /* mix: share of the new weights in the average */
} asgd_args;

#define RV_KERNEL_FILE "optim/asgd.c"
#include "optim/kernel.h"

#define ASGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                     \
    RV_HP_LR(REAL, 1e-2)                                                               \
    REAL(lambd, 1e-4, 0, HUGE_VAL, RV_HP_FREE, "speed at which the rate decays; shrinks the weights as well") \
    REAL(alpha, 0.75, 0, 10, 0, "power of the rate's decay")                           \
    REAL(t0, 1e6, 0, 1e15, 0, "step after which the average begins")                   \
    RV_HP_L2(REAL)
RV_PARAM_STRUCT(asgd_params, ASGD_PARAMS);
RV_PARAM_TABLE(asgd_table, "asgd", asgd_params, ASGD_PARAMS);

static rv_status step(const rv_run *run)
{
    const asgd_params *p = run->params;
    const double before = (double)(run->step - 1);
    const double eta = run->lr / pow(1 + p->lambd * run->lr * before, p->alpha);
    const asgd_args args = {
        .eta = eta, .keep = 1 - p->lambd * eta, .l2 = p->weight_decay, .mix = 1 / fmax(1, before - p->t0)};
    return rv_run_map(run, RV_KERNEL_OF(asgd), &args);
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    for (int k = 0; k < run->count; k++)
        memcpy(dst[k], rv_run_slot(run, k, 0),
               (size_t)rv_shape_size(&run->tensors[k].shape) * rv_dtype_size(run->dtype));
}

static const rv_slot slots[] = {{"a", rv_slot_like, true}};

const rv_method rv_method_asgd = {
    .info = {.name = "asgd",
             .version = 1,
             .title = "Averaged stochastic gradient descent",
             .equations = "g <- g + weight_decay w;  eta = lr / (1 + lambd lr (t - 1))^alpha\n"
                          "w <- w (1 - lambd eta) - eta g\n"
                          "a <- a + (w - a) / max(1, t - 1 - t0), the weights to evaluate",
             .paper = "Polyak & Juditsky 1992, Acceleration of stochastic approximation by averaging; Bottou 2010",
             .reference = "pytorch 2.6.0 torch/optim/asgd.py",
             .deviations = "pytorch computes eta of a step from the learning rate of the step before it, so that a "
                           "schedule acts one step later there; the same for a constant learning rate",
             .params = &asgd_table,
             .state = "a: like the tensor, starts as the weights",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .step = step,
    .evaluation_weights = evaluation_weights,
    .whole_slots = 1u << 0, /* read by evaluation_weights */
};

#else

RV_TILE_FUNCTION(asgd, asgd_args)
{
    const RV_REAL eta = (RV_REAL)a->eta, keep = (RV_REAL)a->keep, l2 = (RV_REAL)a->l2, mix = (RV_REAL)a->mix;
    RV_REAL *average = t->s[0];
    RV_EACH (i, t->n) {
        const RV_REAL w = keep * t->w[i] - eta * (t->g[i] + l2 * t->w[i]);
        average[i] = a->mix == 1 ? w : average[i] + mix * (w - average[i]);
        t->out[i] = w;
    }
}
#define RV_KERNEL asgd
#define RV_KERNEL_ARGS asgd_args
#include "optim/kernel_loop.h"

#endif
