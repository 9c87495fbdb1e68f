/* Gradient accumulation: the method makes a step with the mean of `steps` gradients.
 *     sum <- sum + g;  every steps-th time: g <- sum/steps, sum <- 0, and the step is made
 * Wrappers before this one see every gradient, those after it the mean. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct gather_args {
    bool first;
    double share; /* of the sum in the gradient that leaves */
} gather_args;

#define RV_KERNEL_FILE "optim/wrap_accumulate.c"
#include "optim/kernel.h"

#define ACCUMULATE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    INT(steps, 1, 1, 1e9, 0, "gradients to a step")
RV_PARAM_STRUCT(accumulate_params, ACCUMULATE_PARAMS);
RV_PARAM_TABLE(accumulate_table, "accumulate", accumulate_params, ACCUMULATE_PARAMS);

static rv_status before(const rv_run *run)
{
    const int64_t steps = ((const accumulate_params *)run->params)->steps, held = (int64_t)run->scalars[0];
    const gather_args args = {held == 0, 1.0 / (double)steps};
    if (held + 1 < steps) {
        RV_TRY(rv_run_map(run, RV_KERNEL_OF(gather), &args));
        run->scalars[0]++;
        rv_run_hold(run);
        return RV_OK;
    }
    run->scalars[0] = 0;
    return steps > 1 ? rv_run_filter(run, RV_KERNEL_OF(give), &args) : RV_OK;
}

static const rv_slot slots[] = {{"sum", rv_slot_like, false}};
static const char *const scalars[] = {"held"};

const rv_wrapper rv_wrapper_accumulate = {
    .method = {.info = {.name = "accumulate",
                        .version = 1,
                        .title = "Gradient accumulation: one step with the mean of several gradients",
                        .equations = "sum <- sum + g; every steps-th time the step is made with sum/steps, and sum <- 0",
                        .paper = "none",
                        .reference = "the definition: one step with the mean is one step with the larger batch",
                        .deviations = "none; wrappers before it see every gradient, those after it the mean",
                        .params = &accumulate_table,
                        .state = "sum: like the tensor; held: scalar",
                        .bytes_per_parameter = 4},
               .tolerance = 1e-12,
               .slots = slots,
               .slot_count = 1,
               .scalars = scalars,
               .scalar_count = 1},
    .before = before,
    .filters = true,
};

#else

RV_TILE_FUNCTION(gather, gather_args)
{
    RV_REAL *sum = t->s[0];
    const RV_REAL keep = a->first ? 0 : 1;
    RV_EACH (i, t->n)
        sum[i] = keep * sum[i] + t->g[i];
}
#define RV_KERNEL gather
#define RV_KERNEL_ARGS gather_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(give, gather_args)
{
    const RV_REAL share = (RV_REAL)a->share;
    RV_EACH (i, t->n)
        t->out[i] = (t->s[0][i] + t->g[i]) * share;
}
#define RV_KERNEL give
#define RV_KERNEL_ARGS gather_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
