/* Multistep: the rate falls by gamma at milestones, given as fractions of the total so that
 * a recipe can be shortened.  Factor of step 0: 1 unless a milestone is 0. */
#include <math.h>

#include "optim/schedule.h"

#define MULTISTEP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                      \
    REAL(gamma, 0.1, 0, 1, RV_PARAM_OPEN_LO, "factor at each milestone")     \
    REAL(first, 0.5, 0, 1, 0, "milestone, fraction of the total; 1: none")   \
    REAL(second, 0.75, 0, 1, 0, "milestone, fraction of the total; 1: none") \
    REAL(third, 1, 0, 1, 0, "milestone, fraction of the total; 1: none")
RV_PARAM_STRUCT(multistep_params, MULTISTEP_PARAMS);
RV_PARAM_TABLE(table, "multistep", multistep_params, MULTISTEP_PARAMS);

static bool passed(double milestone, int64_t step, int64_t total)
{
    return milestone < 1 && (double)step >= milestone * (double)total;
}

static double factor(const void *params, int64_t step, int64_t total)
{
    const multistep_params *p = params;
    return pow(p->gamma, passed(p->first, step, total) + passed(p->second, step, total) +
                             passed(p->third, step, total));
}

const rv_schedule_info rv_schedule_multistep = {
    .name = "multistep",
    .title = "Falls by a factor at milestones",
    .equation = "gamma^(number of milestones m with m T <= k)",
    .reference = "torch.optim.lr_scheduler.MultiStepLR 2.6.0, milestones as fractions of T",
    .params = &table,
    .factor = factor,
};
