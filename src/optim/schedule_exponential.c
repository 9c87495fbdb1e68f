/* Exponential decay.  Factor of step 0: 1. */
#include <math.h>

#include "optim/schedule.h"

#define EXPONENTIAL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(gamma, 0, 0, 1, 0, "factor of every step; 0: end counts")                                     \
    REAL(end, 0.01, 0, 1, RV_PARAM_OPEN_LO | RV_PARAM_LOG, "factor at the end of all steps")
RV_PARAM_STRUCT(exponential_params, EXPONENTIAL_PARAMS);
RV_PARAM_TABLE(table, "exponential", exponential_params, EXPONENTIAL_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const exponential_params *p = params;
    if (p->gamma > 0)
        return pow(p->gamma, (double)step);
    return step < total ? pow(p->end, (double)step / (double)total) : p->end;
}

const rv_schedule_info rv_schedule_exponential = {
    .name = "exponential",
    .title = "Exponential decay",
    .equation = "gamma^k, or end^(k/T) and from step T on end",
    .reference = "torch.optim.lr_scheduler.ExponentialLR 2.6.0 (gamma)",
    .params = &table,
    .factor = factor,
};
