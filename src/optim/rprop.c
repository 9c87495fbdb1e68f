/* Resilient propagation: every weight has a step size of its own, which grows while the sign of
 * its gradient holds and shrinks when it turns.  For whole-batch gradients.
 *     s = sign(g p);  d <- clip(d (grow if s > 0, shrink if s < 0), step_min, step_max)
 *     g <- 0 where s < 0;  w <- w - sign(g) d;  p <- g
 * Reference: pytorch torch/optim/rprop.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct rprop_args {
    double start; /* the first step size; 0: sizes stand already */
    double shrink, grow, step_min, step_max;
} rprop_args;

#define RV_KERNEL_FILE "optim/rprop.c"
#include "optim/kernel.h"

#define RPROP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_HP_FREE, "first step size; only the first step reads it")         \
    REAL(shrink, 0.5, 0, 1, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "factor on the step size when the sign turns") \
    REAL(grow, 1.2, 1, HUGE_VAL, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "factor on the step size while the sign holds") \
    REAL(step_min, 1e-6, 0, HUGE_VAL, RV_HP_FREE, "least step size")                                 \
    REAL(step_max, 50, 0, HUGE_VAL, RV_HP_FREE, "largest step size")
RV_PARAM_STRUCT(rprop_params, RPROP_PARAMS);
RV_PARAM_TABLE(rprop_table, "rprop", rprop_params, RPROP_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    const rprop_params *p = params;
    if (p->step_min > p->step_max)
        return rv_fail(err, RV_E_ARGUMENT, "rprop: step_min %g is above step_max %g", p->step_min, p->step_max);
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const rprop_params *p = run->params;
    const rprop_args args = {.start = run->step == 1 ? run->lr : 0,
                             .shrink = p->shrink,
                             .grow = p->grow,
                             .step_min = p->step_min,
                             .step_max = p->step_max};
    return rv_run_map(run, RV_KERNEL_OF(rprop), &args);
}

static const rv_slot slots[] = {{"p", rv_slot_like, false}, {"d", rv_slot_like, false}};

const rv_method rv_method_rprop = {
    .info = {.name = "rprop",
             .version = 1,
             .title = "Resilient propagation (iRprop-)",
             .equations = "s = sign(g p), p: the gradient before;  d: step sizes, lr at the start\n"
                          "d <- d grow where s > 0, d shrink where s < 0, kept in [step_min, step_max]\n"
                          "g <- 0 where s < 0;  w <- w - sign(g) d;  p <- g",
             .paper = "Riedmiller & Braun 1993, A direct adaptive method for faster backpropagation learning; "
                      "Igel & Huesken 2000 (the variant without backtracking)",
             .reference = "pytorch 2.6.0 torch/optim/rprop.py",
             .deviations = "none",
             .params = &rprop_table,
             .state = "p, d: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .check = check,
    .step = step,
};

#else

RV_TILE_FUNCTION(rprop, rprop_args)
{
    const RV_REAL shrink = (RV_REAL)a->shrink, grow = (RV_REAL)a->grow;
    const RV_REAL least = (RV_REAL)a->step_min, most = (RV_REAL)a->step_max, start = (RV_REAL)a->start;
    RV_REAL *p = t->s[0], *d = t->s[1], s[RV_TILE];
    RV_EACH (i, t->n) {
        s[i] = RV_FN(rv_sign)(t->g[i]) * RV_FN(rv_sign)(p[i]); /* of signs: free of underflow */
        p[i] = s[i] < 0 ? 0 : t->g[i];
    }
    if (start > 0)
        RV_EACH (i, t->n)
            d[i] = start;
    RV_EACH (i, t->n) {
        const RV_REAL down = s[i] < 0 ? d[i] * shrink : d[i], size = s[i] > 0 ? d[i] * grow : down;
        const RV_REAL high = size > most ? most : size;
        d[i] = high < least ? least : high;
    }
    RV_EACH (i, t->n)
        t->out[i] = t->w[i] - RV_FN(rv_sign)(p[i]) * d[i];
}
#define RV_KERNEL rprop
#define RV_KERNEL_ARGS rprop_args
#include "optim/kernel_loop.h"

#endif
