/* Grokfast, window form: the mean of the latest gradients is added to the gradient.
 *     the gradient enters a queue of `window`; once that is full  g <- g + lamb mean(queue)
 * Reference: ironjr/grokfast grokfast.py 93b2248e gradfilter_ma (filter_type mean). */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct window_args {
    const rv_tensor *tensors;
    int64_t row, filled; /* where this gradient goes; rows that are averaged, 0: none */
    double lamb;
} window_args;

#define RV_KERNEL_FILE "optim/wrap_grokfast_ma.c"
#include "optim/kernel.h"

#define WINDOW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                  \
    INT(window, 100, 1, 10000, 0, "gradients that are averaged")                      \
    REAL(lamb, 5, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "how much of the mean is added")     \
    BOOL(warmup, true, "leave gradients alone until the window is full")
RV_PARAM_STRUCT(window_params, WINDOW_PARAMS);
RV_PARAM_TABLE(window_table, "grokfast_ma", window_params, WINDOW_PARAMS);

static bool queue_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    *shape = (rv_shape){2, {((const window_params *)params)->window, rv_shape_size(&tensor->shape)}};
    return true;
}

static rv_status before(const rv_run *run)
{
    const window_params *p = run->params;
    const int64_t seen = (int64_t)run->scalars[0];
    const int64_t filled = seen + 1 < p->window ? seen + 1 : p->window;
    const window_args args = {run->tensors, seen % p->window, p->warmup && filled < p->window ? 0 : filled, p->lamb};
    RV_TRY(rv_run_filter(run, RV_KERNEL_OF(window), &args));
    run->scalars[0]++;
    return RV_OK;
}

static const rv_slot slots[] = {{"queue", queue_shape, false}};
static const char *const scalars[] = {"seen"};

const rv_wrapper rv_wrapper_grokfast_ma = {
    .method = {.info = {.name = "grokfast_ma",
                        .version = 1,
                        .title = "Grokfast: the mean of a window of gradients is added to the gradient",
                        .equations = "g enters a queue of `window`; once it is full: g <- g + lamb mean(queue)",
                        .paper = "Lee, Kang, Kim & Lee 2024, Grokfast: accelerated grokking by amplifying slow gradients",
                        .reference = "ironjr/grokfast 93b2248e grokfast.py gradfilter_ma",
                        .deviations = "filter_type sum is lamb times the window",
                        .params = &window_table,
                        .state = "queue: window times the tensor; seen: scalar",
                        .bytes_per_parameter = 400},
               .tolerance = 1e-12,
               .slots = slots,
               .slot_count = 1,
               .scalars = scalars,
               .scalar_count = 1},
    .before = before,
    .filters = true,
};

#else

RV_TILE_FUNCTION(window, window_args)
{
    const int64_t size = rv_shape_size(&a->tensors[t->tensor].shape);
    RV_REAL *now = t->s[0] + a->row * size, sum[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        now[i] = t->g[i];
        sum[i] = 0;
    }
    for (int64_t row = 0; row < a->filled; row++) {
        const RV_REAL *from = t->s[0] + row * size;
        RV_EACH (i, t->n)
            sum[i] += from[i];
    }
    const RV_REAL lamb = (RV_REAL)a->lamb, count = (RV_REAL)(a->filled > 0 ? a->filled : 1);
    RV_EACH (i, t->n)
        t->out[i] = t->g[i] + lamb * (sum[i] / count);
}
#define RV_KERNEL window
#define RV_KERNEL_ARGS window_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
