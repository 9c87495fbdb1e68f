/* Cosine with warm restarts (SGDR).  Factor of step 0, and of the first step of every period: 1. */
#include "optim/schedule.h"

#define SGDR_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    INT(period, 0, 0, 1e15, 0, "steps of the first period; 0: period_fraction counts")          \
    REAL(period_fraction, 0.142857, 0, 1, RV_PARAM_OPEN_LO, "the same as a share of all steps") \
    INT(growth, 2, 1, 1000, 0, "each period is this many times the one before")                 \
    REAL(end, 0, 0, 1, 0, "factor that a period goes down to")
RV_PARAM_STRUCT(sgdr_params, SGDR_PARAMS);
RV_PARAM_TABLE(table, "sgdr", sgdr_params, SGDR_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const sgdr_params *p = params;
    int64_t period = rv_phase_length(p->period, p->period_fraction, total);
    period = period > 0 ? period : 1;
    if (p->growth == 1)
        step %= period;
    while (step >= period) {
        step -= period;
        if (period > INT64_MAX / p->growth)
            break;
        period *= p->growth;
    }
    return rv_cosine_factor((double)step / (double)period, p->end);
}

const rv_schedule_info rv_schedule_sgdr = {
    .name = "sgdr",
    .title = "Cosine with warm restarts",
    .equation = "end + (1 - end) (1 + cos(pi c/P))/2, c steps into the period P = period growth^n",
    .reference = "Loshchilov & Hutter 2017, SGDR; torch.optim.lr_scheduler.CosineAnnealingWarmRestarts 2.6.0",
    .params = &table,
    .factor = factor,
};
