/* Lookahead: slow weights that follow the fast ones every k steps, and from which those go on.
 *     at a sync:  slow <- slow + alpha (w - slow);  w <- slow;  the method's state stays
 * Three published forms differ in the first slow weights and in the steps that sync. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct sync_args {
    double alpha;
} sync_args;

#define RV_KERNEL_FILE "optim/wrap_lookahead.c"
#include "optim/kernel.h"

#define LOOKAHEAD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                   \
    INT(k, 5, 1, 1e15, 0, "steps from sync to sync")                                      \
    REAL(alpha, 0.5, 0, 1, 0, "how far the slow weights go towards the fast")             \
    CHOICE(form, "paper|timm|alphadl", "paper", "which published form")
RV_PARAM_STRUCT(lookahead_params, LOOKAHEAD_PARAMS);
RV_PARAM_TABLE(lookahead_table, "lookahead", lookahead_params, LOOKAHEAD_PARAMS);

enum { PAPER, TIMM, ALPHADL };

static rv_status after(const rv_run *run)
{
    const lookahead_params *p = run->params;
    const int64_t t = p->form == ALPHADL ? run->step - 1 : run->step;
    if (t % p->k != 0)
        return RV_OK;
    /* Outside the paper's form the first sync makes the slow weights from the fast. */
    const bool begins = p->form != PAPER && run->scalars[0] == 0;
    const sync_args args = {begins ? 1 : p->alpha};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sync), &args));
    run->scalars[0]++;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    if (((const lookahead_params *)run->params)->form != PAPER)
        return;
    for (int i = 0; i < run->count; i++)
        memcpy(dst[i], rv_run_slot(run, i, 0), (size_t)rv_shape_size(&run->tensors[i].shape) * rv_dtype_size(run->dtype));
}

static const rv_slot slots[] = {{"slow", rv_slot_like, true}};
static const char *const scalars[] = {"syncs"};

const rv_wrapper rv_wrapper_lookahead = {
    .method = {.info = {.name = "lookahead",
                        .version = 1,
                        .title = "Lookahead: slow weights that the fast ones start from again",
                        .equations = "sync: slow <- slow + alpha (w - slow);  w <- slow\n"
                                     "paper: after steps k, 2k, ...; slow starts as the initial weights and is evaluated\n"
                                     "timm: after steps k, 2k, ...; the first sync makes slow from w\n"
                                     "alphadl: after steps 1, k + 1, 2k + 1, ...; the first sync makes slow from w",
                        .paper = "Zhang, Lucas, Hinton & Ba 2019, Lookahead optimizer: k steps forward, 1 step back",
                        .reference = "the paper's algorithm 1; huggingface/pytorch-image-models aa4b5850 "
                                     "timm/optim/lookahead.py; alphadl/lookahead.pytorch 570a0897 lookahead.py",
                        .deviations = "none; the method's state is kept over a sync",
                        .params = &lookahead_table,
                        .state = "slow: like the tensor, starts as the weights; syncs: scalar",
                        .bytes_per_parameter = 4},
               .tolerance = 1e-12,
               .slots = slots,
               .slot_count = 1,
               .scalars = scalars,
               .scalar_count = 1,
               .evaluation_weights = evaluation_weights},
    .after = after,
};

#else

RV_TILE_FUNCTION(sync, sync_args)
{
    const RV_REAL alpha = (RV_REAL)a->alpha;
    RV_REAL *slow = t->s[0];
    if (a->alpha == 1) /* to the bit */
        RV_EACH (i, t->n)
            t->out[i] = slow[i] = t->w[i];
    else
        RV_EACH (i, t->n)
            t->out[i] = slow[i] = slow[i] + alpha * (t->w[i] - slow[i]);
}
#define RV_KERNEL sync
#define RV_KERNEL_ARGS sync_args
#include "optim/kernel_loop.h"

#endif
