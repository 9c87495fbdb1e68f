/* Linear warm-up, then linear decay.  Factor of step 0: start, 1/W or 1/(W + 1) by ramp. */
#include "optim/schedule.h"

#define WARMUP_LINEAR_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    RV_WARMUP_PARAMS(REAL, INT, CHOICE)                     \
    REAL(end, 0, 0, 1, 0, "factor at the end")
RV_PARAM_STRUCT(warmup_linear_params, WARMUP_LINEAR_PARAMS);
RV_PARAM_TABLE(table, "warmup_linear", warmup_linear_params, WARMUP_LINEAR_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const warmup_linear_params *p = params;
    const int64_t length = rv_phase_length(p->warmup_steps, p->warmup_fraction, total);
    if (step < length)
        return rv_warmup_factor(p->ramp, p->start, step, length);
    return step < total ? 1 + (p->end - 1) * (double)(step - length) / (double)(total - length) : p->end;
}

const rv_schedule_info rv_schedule_warmup_linear = {
    .name = "warmup_linear",
    .title = "Linear warm-up, then linear decay",
    .equation = "k < W: as warmup; then 1 + (end - 1) (k - W)/(T - W); from step T on: end",
    .reference = "torch.optim.lr_scheduler.LinearLR 2.6.0, two in sequence",
    .params = &table,
    .factor = factor,
};
