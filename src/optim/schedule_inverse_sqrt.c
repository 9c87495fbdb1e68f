/* Linear warm-up, then the inverse square root.  Factor of step 0: 1/W. */
#include <math.h>

#include "optim/schedule.h"

#define INVERSE_SQRT_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up; 0: warmup_fraction counts")                  \
    REAL(warmup_fraction, 0.02, 0, 1, 0, "warm-up as a share of all steps")
RV_PARAM_STRUCT(inverse_sqrt_params, INVERSE_SQRT_PARAMS);
RV_PARAM_TABLE(table, "inverse_sqrt", inverse_sqrt_params, INVERSE_SQRT_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const inverse_sqrt_params *p = params;
    const double warmup = fmax(1, (double)rv_phase_length(p->warmup_steps, p->warmup_fraction, total));
    const double n = (double)step + 1;
    return fmin(n / warmup, sqrt(warmup / n));
}

const rv_schedule_info rv_schedule_inverse_sqrt = {
    .name = "inverse_sqrt",
    .title = "Linear warm-up, then the inverse square root",
    .equation = "min((k + 1)/W, sqrt(W/(k + 1)))",
    .reference = "Vaswani et al. 2017, in the form that is 1 at the end of the warm-up",
    .params = &table,
    .factor = factor,
};
