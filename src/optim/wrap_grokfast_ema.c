/* Grokfast, exponential form: slow components of the gradient are amplified.
 *     h <- alpha h + (1 - alpha) g, and h <- g in the first step;  g <- g + lamb h
 * Reference: ironjr/grokfast grokfast.py 93b2248e gradfilter_ema.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct slow_args {
    double alpha, rest, lamb;
} slow_args;

#define RV_KERNEL_FILE "optim/wrap_grokfast_ema.c"
#include "optim/kernel.h"

#define GROKFAST_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                               \
    REAL(alpha, 0.98, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")      \
    REAL(lamb, 2, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "how much of the mean is added")
RV_PARAM_STRUCT(grokfast_params, GROKFAST_PARAMS);
RV_PARAM_TABLE(grokfast_table, "grokfast_ema", grokfast_params, GROKFAST_PARAMS);

static rv_status before(const rv_run *run)
{
    const grokfast_params *p = run->params;
    const bool first = run->scalars[0] == 0;
    const slow_args args = {first ? 0 : p->alpha, first ? 1 : 1 - p->alpha, p->lamb};
    RV_TRY(rv_run_filter(run, RV_KERNEL_OF(slow), &args));
    run->scalars[0]++;
    return RV_OK;
}

static const rv_slot slots[] = {{"mean", rv_slot_like, false}};
static const char *const scalars[] = {"seen"};

const rv_wrapper rv_wrapper_grokfast_ema = {
    .method = {.info = {.name = "grokfast_ema",
                        .version = 1,
                        .title = "Grokfast: the slow part of the gradient, by an exponential mean, is amplified",
                        .equations = "mean <- alpha mean + (1 - alpha) g, and mean <- g in the first step\n"
                                     "g <- g + lamb mean",
                        .paper = "Lee, Kang, Kim & Lee 2024, Grokfast: accelerated grokking by amplifying slow gradients",
                        .reference = "ironjr/grokfast 93b2248e grokfast.py gradfilter_ema",
                        .deviations = "none",
                        .params = &grokfast_table,
                        .state = "mean: like the tensor; seen: scalar",
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

RV_TILE_FUNCTION(slow, slow_args)
{
    const RV_REAL alpha = (RV_REAL)a->alpha, rest = (RV_REAL)a->rest, lamb = (RV_REAL)a->lamb;
    RV_REAL *mean = t->s[0];
    RV_EACH (i, t->n) {
        mean[i] = alpha * mean[i] + rest * t->g[i];
        t->out[i] = t->g[i] + lamb * mean[i];
    }
}
#define RV_KERNEL slow
#define RV_KERNEL_ARGS slow_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

#endif
