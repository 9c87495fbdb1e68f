/* The momentum of the one-cycle policy, which runs opposite to the rate.  momentum is the largest;
 * factor of step 0: 1. */
#include "optim/schedule.h"

#define ONE_CYCLE_MOMENTUM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                            \
    RV_CYCLE_PARAMS(REAL, BOOL, CHOICE)                                                     \
    REAL(low, 0.894736842105263158, 0, 1, 0, "momentum at the largest rate over momentum")
RV_PARAM_STRUCT(momentum_params, ONE_CYCLE_MOMENTUM_PARAMS);
RV_PARAM_TABLE(table, "one_cycle_momentum", momentum_params, ONE_CYCLE_MOMENTUM_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const momentum_params *p = params;
    const rv_cycle c = {p->rise, p->anneal, p->three_phase, {1, p->low, 1, 1}};
    return rv_cycle_value(&c, step, total);
}

const rv_schedule_info rv_schedule_one_cycle_momentum = {
    .name = "one_cycle_momentum",
    .title = "The momentum of one cycle: down while the rate rises, and up again",
    .equation = "1 -> low until step rise T - 1, then -> 1 (three_phase: until step 2 rise T - 2)",
    .reference = "torch.optim.lr_scheduler.OneCycleLR 2.6.0 (low = base_momentum/max_momentum)",
    .params = &table,
    .factor = factor,
};
