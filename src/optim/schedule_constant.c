/* Constant rate.  Factor 1 at every step, step 0 included. */
#include "optim/schedule.h"

static const rv_param_table table = {.owner = "constant"};

static double factor(const void *params, int64_t step, int64_t total)
{
    (void)params, (void)step, (void)total;
    return 1;
}

const rv_schedule_info rv_schedule_constant = {
    .name = "constant",
    .title = "Constant",
    .equation = "1",
    .reference = "none needed",
    .params = &table,
    .factor = factor,
};
