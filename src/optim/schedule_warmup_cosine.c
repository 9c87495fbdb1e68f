/* Linear warm-up, then cosine decay.  Factor of step 0: start, 1/W or 1/(W + 1) by ramp. */
#include "optim/schedule.h"

#define WARMUP_COSINE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    RV_WARMUP_PARAMS(REAL, INT, CHOICE)                     \
    REAL(end, 0, 0, 1, 0, "factor at the end")
RV_PARAM_STRUCT(warmup_cosine_params, WARMUP_COSINE_PARAMS);
RV_PARAM_TABLE(table, "warmup_cosine", warmup_cosine_params, WARMUP_COSINE_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const warmup_cosine_params *p = params;
    const int64_t length = rv_phase_length(p->warmup_steps, p->warmup_fraction, total);
    if (step < length)
        return rv_warmup_factor(p->ramp, p->start, step, length);
    return rv_cosine_factor(step < total ? (double)(step - length) / (double)(total - length) : 1, p->end);
}

const rv_schedule_info rv_schedule_warmup_cosine = {
    .name = "warmup_cosine",
    .title = "Linear warm-up, then cosine decay",
    .equation = "k < W: as warmup; then end + (1 - end) (1 + cos(pi (k - W)/(T - W)))/2; from step T on: end",
    .reference = "torch.optim.lr_scheduler 2.6.0: LinearLR, then CosineAnnealingLR (ramp zero); "
                 "karpathy/nanoGPT train.py (ramp nanogpt)",
    .params = &table,
    .factor = factor,
};
