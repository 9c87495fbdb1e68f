/* Fromage: every tensor moves by a fixed share of its own norm, and a factor takes back the
 * growth that steps at right angles to the weights would cause.
 *     w <- (w - lr max(||w||, min_norm)/max(||g||, min_norm) g)/sqrt(1 + lr^2), norms per tensor
 * Reference: optax 0.2.8 optax.fromage.  Deviations: none. */
#ifndef RV_REAL

#include "optim/norms.h"
#include "optim/rows.h"

typedef struct fromage_args {
    double lr, shrink, min_norm;
    const double (*squares)[RV_MAX_SUMS]; /* [tensors] */
} fromage_args;

#define RV_KERNEL_FILE "optim/fromage.c"
#include "optim/kernel.h"

#define FROMAGE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                    \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_HP_FREE, "length of a step over the norm of the weights") \
    REAL(min_norm, 1e-6, 0, HUGE_VAL, RV_HP_FREE, "least norm of weights and gradients")
RV_PARAM_STRUCT(fromage_params, FROMAGE_PARAMS);
RV_PARAM_TABLE(fromage_table, "fromage", fromage_params, FROMAGE_PARAMS);

static rv_status step(const rv_run *run)
{
    const fromage_params *p = run->params;
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    RV_TRY(rv_run_squares(run, true, total, each));
    const fromage_args args = {.lr = run->lr,
                               .shrink = 1 / sqrt(1 + run->lr * run->lr),
                               .min_norm = p->min_norm,
                               .squares = (const double (*)[RV_MAX_SUMS])each};
    return rv_run_map(run, RV_KERNEL_OF(fromage), &args);
}

const rv_method rv_method_fromage = {
    .info = {.name = "fromage",
             .version = 1,
             .title = "Fromage, Frobenius matched gradient descent",
             .equations = "w <- (w - lr r g)/sqrt(1 + lr^2);  r = max(||w||, min_norm)/max(||g||, min_norm) per tensor, "
                          "1 where a norm is 0 (with min_norm=0)",
             .paper = "Bernstein, Vahdat, Yue & Liu 2020, On the distance between two neural networks and the stability "
                      "of learning, algorithm 1",
             .reference = "optax 0.2.8 optax.fromage",
             .deviations = "none; the authors' code has min_norm=0 and an optional bound on the norms, which is not here; "
                           "weights shrink under zero gradients, too",
             .params = &fromage_table,
             .state = "none",
             .bytes_per_parameter = 0},
    .tolerance = 1e-12,
    .step = step,
};

#else

RV_TILE_FUNCTION(fromage, fromage_args)
{
    const double of_w = fmax(sqrt(a->squares[t->tensor][RV_SQUARES_W]), a->min_norm);
    const double of_g = fmax(sqrt(a->squares[t->tensor][RV_SQUARES_G]), a->min_norm);
    const RV_REAL rate = (RV_REAL)(a->lr * (of_w > 0 && of_g > 0 ? of_w / of_g : 1)), shrink = (RV_REAL)a->shrink;
    RV_EACH (i, t->n)
        t->out[i] = shrink * (t->w[i] - rate * t->g[i]);
}
#define RV_KERNEL fromage
#define RV_KERNEL_ARGS fromage_args
#include "optim/kernel_loop.h"

#endif
