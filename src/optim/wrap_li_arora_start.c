/* The initial momentum of Li and Arora's exponential rate (schedule li_arora, start=corrected).
 *     b_0 = (a - 1)/(lr a) w_0, a as in the schedule
 * It reaches SGD's buffer as momentum b_0 in the first gradient, which is what the first step
 * would take from a buffer that held b_0. */
#ifndef RV_REAL

#include "optim/li_arora.h"
#include "optim/method.h"

typedef struct start_args {
    double share; /* of the weights in the first gradient */
} start_args;

#define RV_KERNEL_FILE "optim/wrap_li_arora_start.c"
#include "optim/kernel.h"

#define START_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) RV_LI_ARORA_PARAMS(REAL)
RV_PARAM_STRUCT(start_params, START_PARAMS);
RV_PARAM_TABLE(start_table, "li_arora_start", start_params, START_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    const start_params *p = params;
    if (isnan(rv_li_arora_root(p->lr, p->weight_decay, p->momentum)))
        return rv_fail(err, RV_E_RANGE, "li_arora_start: needs lr weight_decay <= (1 - sqrt(momentum))^2, found %g > %g",
                       p->lr * p->weight_decay, (1 - sqrt(p->momentum)) * (1 - sqrt(p->momentum)));
    return RV_OK;
}

static rv_status before(const rv_run *run)
{
    const start_params *p = run->params;
    if (run->step > 1)
        return RV_OK;
    const double a = rv_li_arora_root(p->lr, p->weight_decay, p->momentum);
    const start_args args = {p->momentum * (a - 1) / (p->lr * a)};
    return rv_run_filter(run, RV_KERNEL_OF(start), &args);
}

const rv_wrapper rv_wrapper_li_arora_start = {
    .method = {.info = {.name = "li_arora_start",
                        .version = 1,
                        .title = "The initial momentum of the exponential rate of Li and Arora",
                        .equations = "first step: g <- g + momentum (a - 1)/(lr a) w, a the root of schedule li_arora",
                        .paper = "Li & Arora 2020, An exponential learning rate schedule for deep learning",
                        .reference = "the paper's theorem, with the initial momentum that it needs; its own derivation is "
                                     "checked in tests/golden/li_arora.c",
                        .deviations = "for sgd with momentum and without decay, dampening or nesterov",
                        .params = &start_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12,
               .check = check},
    .before = before,
    .filters = true,
};

#else

RV_TILE_FUNCTION(start, start_args)
{
    const RV_REAL share = (RV_REAL)a->share;
    RV_EACH (i, t->n)
        t->out[i] = t->g[i] + share * t->w[i];
}
#define RV_KERNEL start
#define RV_KERNEL_ARGS start_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
