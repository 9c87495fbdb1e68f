/* Steps: the rate falls by gamma every so many steps.  Factor of step 0: 1. */
#include <math.h>

#include "optim/schedule.h"

#define STEP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    REAL(gamma, 0.1, 0, 1, RV_PARAM_OPEN_LO, "factor at each fall")                            \
    INT(every, 0, 0, 1e15, 0, "steps from fall to fall; 0: every_fraction counts")             \
    REAL(every_fraction, 0.33, 0, 1, RV_PARAM_OPEN_LO, "the same as a share of all steps")
RV_PARAM_STRUCT(step_params, STEP_PARAMS);
RV_PARAM_TABLE(table, "step", step_params, STEP_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const step_params *p = params;
    const int64_t every = rv_phase_length(p->every, p->every_fraction, total);
    return every > 0 ? pow(p->gamma, (double)(step / every)) : 1;
}

const rv_schedule_info rv_schedule_step = {
    .name = "step",
    .title = "Falls by a factor every so many steps",
    .equation = "gamma^floor(k/S)",
    .reference = "torch.optim.lr_scheduler.StepLR 2.6.0",
    .params = &table,
    .factor = factor,
};
