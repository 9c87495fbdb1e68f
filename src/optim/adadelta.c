/* Adadelta: steps in the units of the weights, from means of squared gradients and squared steps.
 *     g <- g + weight_decay w;  v <- rho v + (1 - rho) g^2
 *     d = sqrt(u + eps)/sqrt(v + eps) g;  u <- rho u + (1 - rho) d^2;  w <- w - lr d
 * Reference: pytorch torch/optim/adadelta.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

enum { SLOT_V, SLOT_U };

typedef struct adadelta_args {
    double lr, l2, rho, rest, eps;
} adadelta_args;

#define RV_KERNEL_FILE "optim/adadelta.c"
#include "optim/kernel.h"

#define ADADELTA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    RV_HP_LR(REAL, 1.0)                                                                                \
    REAL(rho, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of both means of squares")                           \
    REAL(eps, 1e-6, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "inside both roots; it alone starts the steps") \
    RV_HP_L2(REAL)
RV_PARAM_STRUCT(adadelta_params, ADADELTA_PARAMS);
RV_PARAM_TABLE(adadelta_table, "adadelta", adadelta_params, ADADELTA_PARAMS);

static rv_status step(const rv_run *run)
{
    const adadelta_params *p = run->params;
    const adadelta_args args = {
        .lr = run->lr, .l2 = p->weight_decay, .rho = p->rho, .rest = 1 - p->rho, .eps = p->eps};
    return rv_run_map(run, RV_KERNEL_OF(adadelta), &args);
}

/* u keeps its type where state is bf16: while it is large beside eps, u <- u (rho + (1 - rho) g^2/v) on average
 * leaves it as it is, so that u adds up its own rounding, and that of v, over some hundred steps in place of
 * 1/(1 - rho).  In bf16 both parts would be alike (docs/optimizers.md); that of v alone stays small enough. */
static const rv_slot slots[] = {{"v", rv_slot_like, false}, {"u", rv_slot_like, false}};

const rv_method rv_method_adadelta = {
    .info = {.name = "adadelta",
             .version = 1,
             .title = "Adadelta",
             .equations = "g <- g + weight_decay w;  v <- rho v + (1 - rho) g^2\n"
                          "d = sqrt(u + eps)/sqrt(v + eps) g;  u <- rho u + (1 - rho) d^2\n"
                          "w <- w - lr d",
             .paper = "Zeiler 2012, ADADELTA: an adaptive learning rate method, algorithm 1",
             .reference = "pytorch 2.6.0 torch/optim/adadelta.py",
             .deviations = "none; the paper has no learning rate (lr=1)",
             .params = &adadelta_table,
             .state = "v, u: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .whole_slots = 1u << SLOT_U,
    .step = step,
};

#else

RV_TILE_FUNCTION(adadelta, adadelta_args)
{
    const RV_REAL lr = (RV_REAL)a->lr, l2 = (RV_REAL)a->l2, eps = (RV_REAL)a->eps;
    const RV_REAL rho = (RV_REAL)a->rho, rest = (RV_REAL)a->rest;
    RV_REAL *v = t->s[SLOT_V], *u = t->s[SLOT_U];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i];
        v[i] = rho * v[i] + rest * g * g;
        const RV_REAL d = RV_MATH(sqrt)(u[i] + eps) / RV_MATH(sqrt)(v[i] + eps) * g;
        u[i] = rho * u[i] + rest * d * d;
        t->out[i] = t->w[i] - lr * d;
    }
}
#define RV_KERNEL adadelta
#define RV_KERNEL_ARGS adadelta_args
#include "optim/kernel_loop.h"

#endif
