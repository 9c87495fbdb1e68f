/* Orthogonal gradient: what would only rescale the weights is taken out, per tensor.
 *     p = g - <w, g>/(<w, w> + 1e-30) w;  g <- p ||g||/||p||
 * Source: Prieto et al. 2025.  Deviations: where ||p|| is rounding alone (||p||^2 < 1e-13 ||g||^2)
 * nothing is left, and a tensor of one element keeps its gradient; the reference scales the
 * rounding up. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct ortho_args {
    const double (*each)[RV_MAX_SUMS]; /* per tensor: factors of w and of the rest */
} ortho_args;

enum { ALONG, SCALE };

#define RV_KERNEL_FILE "optim/wrap_orthograd.c"
#include "optim/kernel.h"

#define ORTHOGRAD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    BOOL(rescale, true, "give what is left the norm of the gradient")
RV_PARAM_STRUCT(orthograd_params, ORTHOGRAD_PARAMS);
RV_PARAM_TABLE(orthograd_table, "orthograd", orthograd_params, ORTHOGRAD_PARAMS);

/* From <w, w>, <w, g>, <g, g> of a tensor to its factors. */
static void factors(double *each, bool rescale, int64_t size)
{
    const double ww = each[0], wg = each[1], gg = each[2];
    const double along = size > 1 ? wg / (ww + 1e-30) : 0;
    const double rest = gg - 2 * along * wg + along * along * ww;
    each[ALONG] = along;
    if (size <= 1 || !rescale)
        each[SCALE] = 1;
    else
        each[SCALE] = rest > 1e-13 * gg ? sqrt(gg / rest) : 0;
}

static rv_status before(const rv_run *run)
{
    const orthograd_params *p = run->params;
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    const ortho_args args = {(const double (*)[RV_MAX_SUMS])each};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(products), &args, total, each));
    for (int i = 0; i < run->count; i++)
        factors(each[i], p->rescale, rv_shape_size(&run->tensors[i].shape));
    return rv_run_filter(run, RV_KERNEL_OF(project), &args);
}

const rv_wrapper rv_wrapper_orthograd = {
    .method = {.info = {.name = "orthograd",
                        .version = 1,
                        .title = "Gradient without its component along the weights",
                        .equations = "per tensor: p = g - <w, g>/(<w, w> + 1e-30) w;  g <- p ||g||/||p||",
                        .paper = "Prieto, Barsbey, Mediano & Birdal 2025, Grokking at the edge of numerical stability",
                        .reference = "pytorch_optimizer 4.1.0 OrthoGrad",
                        .deviations = "where ||p||^2 < 1e-13 ||g||^2 nothing is left, and a tensor of one element keeps "
                                      "its gradient; the authors' code scales rounding up there",
                        .params = &orthograd_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12},
    .before = before,
    .filters = true,
};

#else

RV_TILE_FUNCTION(products, ortho_args)
{
    (void)a;
    RV_FN(rv_dot)(t->w, t->w, t->n, t->sum[0]);
    RV_FN(rv_dot)(t->w, t->g, t->n, t->sum[1]);
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[2]);
}
#define RV_KERNEL products
#define RV_KERNEL_ARGS ortho_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(project, ortho_args)
{
    const RV_REAL along = (RV_REAL)a->each[t->tensor][ALONG], scale = (RV_REAL)a->each[t->tensor][SCALE];
    RV_EACH (i, t->n)
        t->out[i] = (t->g[i] - along * t->w[i]) * scale;
}
#define RV_KERNEL project
#define RV_KERNEL_ARGS ortho_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
