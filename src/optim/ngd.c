/* Gradient descent with the gradient divided by its norm, over all tensors or each.
 *     w <- w - lr g / (||g|| + eps)
 * Reference: own derivation.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/norms.h"

typedef struct ngd_args {
    double lr, eps, norm;                     /* norm over all tensors, or NaN: */
    const double (*squares)[RV_MAX_SUMS];     /* [tensors], sums of squares */
} ngd_args;

#define RV_KERNEL_FILE "optim/ngd.c"
#include "optim/kernel.h"

#define NGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "length of a step")           \
    REAL(eps, 1e-12, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the norm")        \
    CHOICE(norm, "global|per_tensor", "global", "over what the norm is taken")
RV_PARAM_STRUCT(ngd_params, NGD_PARAMS);
RV_PARAM_TABLE(ngd_table, "ngd", ngd_params, NGD_PARAMS);

static rv_status step(const rv_run *run)
{
    const ngd_params *p = run->params;
    ngd_args args = {.lr = run->lr, .eps = p->eps};
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    RV_TRY(rv_run_squares(run, false, total, each));
    args.norm = p->norm == 0 ? sqrt(total[RV_SQUARES_G]) : (double)NAN;
    args.squares = (const double (*)[RV_MAX_SUMS])each;
    return rv_run_map(run, RV_KERNEL_OF(ngd), &args);
}

const rv_method rv_method_ngd = {
    .info = {.name = "ngd",
             .version = 1,
             .title = "Normalised gradient descent",
             .equations = "w <- w - lr g / (||g|| + eps), the norm over all tensors or per tensor",
             .paper = "Hazan, Levy & Shalev-Shwartz 2015, Beyond convexity: stochastic quasi-convex optimization",
             .reference = "derived from the formula",
             .deviations = "none",
             .params = &ngd_table,
             .state = "none",
             .bytes_per_parameter = 0},
    .tolerance = 1e-12,
    .step = step,
};

#else

RV_TILE_FUNCTION(ngd, ngd_args)
{
    const double norm = isnan(a->norm) ? sqrt(a->squares[t->tensor][RV_SQUARES_G]) : a->norm;
    const RV_REAL lr = (RV_REAL)(norm + a->eps > 0 ? a->lr / (norm + a->eps) : 0);
    RV_EACH (i, t->n)
        t->out[i] = t->w[i] - lr * t->g[i];
}
#define RV_KERNEL ngd
#define RV_KERNEL_ARGS ngd_args
#include "optim/kernel_loop.h"

#endif
