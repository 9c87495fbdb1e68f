/* Linear warm-up, then constant.  Factor of step 0: start, 1/W or 1/(W + 1) by ramp. */
#include <math.h>

#include "optim/schedule.h"

#define WARMUP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) RV_WARMUP_PARAMS(REAL, INT, CHOICE)
RV_PARAM_STRUCT(warmup_params, WARMUP_PARAMS);
RV_PARAM_TABLE(table, "warmup", warmup_params, WARMUP_PARAMS);

int64_t rv_phase_length(int64_t steps, double fraction, int64_t total)
{
    return steps > 0 ? steps : (int64_t)llround(fraction * (double)total);
}

double rv_warmup_factor(int ramp, double start, int64_t step, int64_t length)
{
    if (ramp == RV_RAMP_ZERO)
        return start + (1 - start) * (double)step / (double)length;
    return ((double)step + 1) / ((double)length + (ramp == RV_RAMP_NANOGPT ? 1 : 0));
}

static double factor(const void *params, int64_t step, int64_t total)
{
    const warmup_params *p = params;
    const int64_t length = rv_phase_length(p->warmup_steps, p->warmup_fraction, total);
    return step < length ? rv_warmup_factor(p->ramp, p->start, step, length) : 1;
}

const rv_schedule_info rv_schedule_warmup = {
    .name = "warmup",
    .title = "Linear warm-up, then constant",
    .equation = "k < W: start + (1 - start) k/W (ramp zero), (k + 1)/W (first) or (k + 1)/(W + 1) (nanogpt); then 1",
    .reference = "torch.optim.lr_scheduler.LinearLR 2.6.0 (ramp zero); karpathy/nanoGPT train.py (ramp nanogpt)",
    .params = &table,
    .factor = factor,
};
