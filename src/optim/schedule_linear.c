/* Linear decay.  Factor 1 at step 0, end at step total and later. */
#include "optim/schedule.h"

#define LINEAR_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    REAL(end, 0, 0, 1, 0, "factor at the end")
RV_PARAM_STRUCT(linear_params, LINEAR_PARAMS);
RV_PARAM_TABLE(table, "linear", linear_params, LINEAR_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const double end = ((const linear_params *)params)->end;
    return step < total ? 1 + (end - 1) * (double)step / (double)total : end;
}

const rv_schedule_info rv_schedule_linear = {
    .name = "linear",
    .title = "Linear decay",
    .equation = "1 + (end - 1) k/T, k = 0, 1, ... (step 0: 1; from step T on: end)",
    .reference = "torch.optim.lr_scheduler.LinearLR 2.6.0",
    .params = &table,
    .factor = factor,
};
