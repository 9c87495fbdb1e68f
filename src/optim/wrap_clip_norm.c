/* Clipping of the gradient by its norm, over all tensors or per tensor.
 *     norm = ||g||;  g <- g min(1, max_norm/(norm + 1e-6))       form torch
 *                    g <- g max_norm/norm where norm >= max_norm  form optax
 * Reference: pytorch torch.nn.utils.clip_grad_norm_ 2.6.0; optax.clip_by_global_norm. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct clip_args {
    const double (*scale)[RV_MAX_SUMS]; /* per tensor */
} clip_args;

#define RV_KERNEL_FILE "optim/wrap_clip_norm.c"
#include "optim/kernel.h"

#define CLIP_NORM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    REAL(max_norm, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "largest norm that is left as it is")   \
    CHOICE(scope, "global|tensor", "global", "the norm of all tensors together, or of each")                \
    CHOICE(form, "torch|optax", "torch", "max_norm/(norm + 1e-6) at most 1, or max_norm/norm beyond max_norm")
RV_PARAM_STRUCT(clip_norm_params, CLIP_NORM_PARAMS);
RV_PARAM_TABLE(clip_norm_table, "clip_norm", clip_norm_params, CLIP_NORM_PARAMS);

enum { GLOBAL, TENSOR };
enum { TORCH, OPTAX };

static double scale_of(const clip_norm_params *p, double squares)
{
    const double norm = sqrt(squares);
    if (p->form == TORCH)
        return fmin(1, p->max_norm / (norm + 1e-6));
    return norm >= p->max_norm ? p->max_norm / norm : 1;
}

static rv_status before(const rv_run *run)
{
    const clip_norm_params *p = run->params;
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    bool clips = false;
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(squares), &(clip_args){NULL}, total, each));
    for (int i = 0; i < run->count; i++) {
        each[i][0] = scale_of(p, p->scope == GLOBAL ? total[0] : each[i][0]);
        clips |= each[i][0] != 1;
    }
    const clip_args args = {(const double (*)[RV_MAX_SUMS])each};
    return clips ? rv_run_filter(run, RV_KERNEL_OF(clip), &args) : RV_OK;
}

const rv_wrapper rv_wrapper_clip_norm = {
    .method = {.info = {.name = "clip_norm",
                        .version = 1,
                        .title = "Gradient clipping by norm",
                        .equations = "g <- g min(1, max_norm/(||g|| + 1e-6)), the norm over all tensors or of each\n"
                                     "form optax: g <- g max_norm/||g|| where ||g|| >= max_norm",
                        .paper = "Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks",
                        .reference = "pytorch 2.6.0 torch.nn.utils.clip_grad_norm_; AlgoPerf's JAX submissions are the same",
                        .deviations = "none; the sum of squares is in double, in a fixed tree",
                        .params = &clip_norm_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12},
    .before = before,
    .filters = true,
};

#else

RV_TILE_FUNCTION(squares, clip_args)
{
    (void)a;
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[0]);
}
#define RV_KERNEL squares
#define RV_KERNEL_ARGS clip_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(clip, clip_args)
{
    const RV_REAL scale = (RV_REAL)a->scale[t->tensor][0];
    RV_EACH (i, t->n)
        t->out[i] = t->g[i] * scale;
}
#define RV_KERNEL clip
#define RV_KERNEL_ARGS clip_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
