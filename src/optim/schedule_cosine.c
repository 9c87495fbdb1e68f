/* Cosine decay.  Factor 1 at step 0, end at step total and later. */
#include <math.h>

#include "optim/schedule.h"

#define COSINE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    REAL(end, 0, 0, 1, 0, "factor at the end")
RV_PARAM_STRUCT(cosine_params, COSINE_PARAMS);
RV_PARAM_TABLE(table, "cosine", cosine_params, COSINE_PARAMS);

double rv_cosine_factor(double at, double end)
{
    return at < 1 ? end + (1 - end) * (1 + cos(acos(-1.0) * at)) / 2 : end;
}

static double factor(const void *params, int64_t step, int64_t total)
{
    return rv_cosine_factor(total > 0 ? (double)step / (double)total : 1, ((const cosine_params *)params)->end);
}

const rv_schedule_info rv_schedule_cosine = {
    .name = "cosine",
    .title = "Cosine decay",
    .equation = "end + (1 - end) (1 + cos(pi k/T))/2, k = 0, 1, ... (step 0: 1; from step T on: end)",
    .reference = "torch.optim.lr_scheduler.CosineAnnealingLR 2.6.0, which goes on oscillating after T; here it stays",
    .params = &table,
    .factor = factor,
};
