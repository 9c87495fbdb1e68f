/* Weight decay in the form that is asked for, for methods that have none or another; lr is the
 * rate of each tensor's own method, factor what the schedule multiplies it by.
 *     decoupled:   w <- w - lr weight_decay w_old                     (AdamW as released)
 *     independent: w <- w - factor weight_decay w_old                 (AdamW's paper)
 *     corrected:   w <- w - lr factor weight_decay w_old              (AdamC: lr^2/lr_max)
 *     cautious:    decoupled, where the step and the decay pull the same way
 *     l2:          g <- g + weight_decay w
 * w_old are the weights before the step, as in decay that comes first. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct decay_args {
    const double (*rate)[RV_MAX_SUMS]; /* per tensor */
    void *const *old;                  /* per tensor, the weights before the step */
    bool cautious;
} decay_args;

#define RV_KERNEL_FILE "optim/wrap_decay.c"
#include "optim/kernel.h"

#define DECAY_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                               \
    REAL(weight_decay, 0.1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "strength, in the units of the form") \
    CHOICE(form, "decoupled|independent|corrected|cautious|l2", "decoupled", "what it is multiplied by, and where it enters") \
    BOOL(vectors, true, "decay biases and norms too")
RV_PARAM_STRUCT(decay_params, DECAY_PARAMS);
RV_PARAM_TABLE(decay_table, "decay", decay_params, DECAY_PARAMS);

enum { DECOUPLED, INDEPENDENT, CORRECTED, CAUTIOUS, L2 };

static bool decays(const rv_run *run, int tensor)
{
    return ((const decay_params *)run->params)->vectors || run->tensors[tensor].shape.rank > 1;
}

static rv_status before(const rv_run *run)
{
    const decay_params *p = run->params;
    double (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    if (p->form != L2) {
        rv_run_copy(run, (const void *const *)run->w, rv_run_scratch(run));
        return RV_OK;
    }
    for (int i = 0; i < run->count; i++)
        each[i][0] = decays(run, i) ? p->weight_decay : 0;
    const decay_args args = {.rate = (const double (*)[RV_MAX_SUMS])each};
    return rv_run_filter(run, RV_KERNEL_OF(couple), &args);
}

static rv_status after(const rv_run *run)
{
    const decay_params *p = run->params;
    double (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    if (p->form == L2)
        return RV_OK;
    for (int i = 0; i < run->count; i++) {
        const double by = p->form == INDEPENDENT ? run->lr_factor
                          : p->form == CORRECTED ? run->lrs[i] * run->lr_factor
                                                 : run->lrs[i];
        if (isnan(by))
            return rv_fail(run->err, RV_E_ARGUMENT, "decay: the method of tensor '%s' has no learning rate",
                           run->tensors[i].name);
        each[i][0] = decays(run, i) ? by * p->weight_decay : 0;
    }
    const decay_args args = {.rate = (const double (*)[RV_MAX_SUMS])each,
                             .old = rv_run_scratch(run),
                             .cautious = p->form == CAUTIOUS};
    return rv_run_map(run, RV_KERNEL_OF(shrink), &args);
}

const rv_wrapper rv_wrapper_decay = {
    .method = {.info = {.name = "decay",
                        .version = 1,
                        .title = "Weight decay in the form that is asked for, around any method",
                        .equations = "decoupled: w <- w - lr weight_decay w_old\n"
                                     "independent: w <- w - factor weight_decay w_old, factor of the schedule\n"
                                     "corrected: w <- w - lr factor weight_decay w_old\n"
                                     "cautious: decoupled, only where (w_old - w) w_old > 0\n"
                                     "l2: g <- g + weight_decay w",
                        .paper = "Loshchilov & Hutter 2019; Defazio 2025 (corrected); Chen et al. 2025 (cautious)",
                        .reference = "AdamW and Distributed Shampoo's decay forms; decoupled around a method without "
                                     "decay is that method with it",
                        .deviations = "set weight_decay=0 on the method itself; rules of modded-nanogpt decay from the "
                                      "updated weights",
                        .params = &decay_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12},
    .before = before,
    .after = after,
    .filters = true,
    .scratch = true,
};

#else

RV_TILE_FUNCTION(couple, decay_args)
{
    const RV_REAL decay = (RV_REAL)a->rate[t->tensor][0];
    RV_EACH (i, t->n)
        t->out[i] = t->g[i] + decay * t->w[i];
}
#define RV_KERNEL couple
#define RV_KERNEL_ARGS decay_args
#define RV_KERNEL_FILTER
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(shrink, decay_args)
{
    const RV_REAL rate = (RV_REAL)a->rate[t->tensor][0];
    const RV_REAL *old = (const RV_REAL *)a->old[t->tensor] + t->at;
    RV_EACH (i, t->n) {
        const bool counts = !a->cautious || (old[i] - t->w[i]) * old[i] > 0;
        t->out[i] = t->w[i] - (counts ? rate * old[i] : 0);
    }
}
#define RV_KERNEL shrink
#define RV_KERNEL_ARGS decay_args
#include "optim/kernel_loop.h"

#endif
