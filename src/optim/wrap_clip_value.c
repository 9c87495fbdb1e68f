/* Clipping of every element of the gradient.
 *     g <- min(max(g, -max_value), max_value)
 * Reference: pytorch torch.nn.utils.clip_grad_value_ 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct value_args {
    double most;
} value_args;

#define RV_KERNEL_FILE "optim/wrap_clip_value.c"
#include "optim/kernel.h"

#define CLIP_VALUE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    REAL(max_value, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "largest magnitude of an element")
RV_PARAM_STRUCT(clip_value_params, CLIP_VALUE_PARAMS);
RV_PARAM_TABLE(clip_value_table, "clip_value", clip_value_params, CLIP_VALUE_PARAMS);

static rv_status before(const rv_run *run)
{
    const value_args args = {((const clip_value_params *)run->params)->max_value};
    return rv_run_filter(run, RV_KERNEL_OF(value), &args);
}

const rv_wrapper rv_wrapper_clip_value = {
    .method = {.info = {.name = "clip_value",
                        .version = 1,
                        .title = "Gradient clipping by value",
                        .equations = "g <- min(max(g, -max_value), max_value)",
                        .paper = "Mikolov 2012, Statistical language models based on neural networks",
                        .reference = "pytorch 2.6.0 torch.nn.utils.clip_grad_value_",
                        .deviations = "none",
                        .params = &clip_value_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12},
    .before = before,
    .filters = true,
};

#else

RV_TILE_FUNCTION(value, value_args)
{
    const RV_REAL most = (RV_REAL)a->most;
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] > most ? most : t->g[i];
        t->out[i] = g < -most ? -most : g;
    }
}
#define RV_KERNEL value
#define RV_KERNEL_ARGS value_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
