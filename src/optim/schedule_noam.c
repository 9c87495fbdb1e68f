/* The schedule of the Transformer paper.  Factor of step 0: d_model^-1/2 W^-3/2; the largest is
 * (d_model W)^-1/2 at the end of the warm-up, so lr is of order one. */
#include <math.h>

#include "optim/schedule.h"

#define NOAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                         \
    INT(d_model, 512, 1, 1e9, 0, "width of the model")                                                      \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up; 0: warmup_fraction counts")                  \
    REAL(warmup_fraction, 0.04, 0, 1, 0, "warm-up as a share of all steps")
RV_PARAM_STRUCT(noam_params, NOAM_PARAMS);
RV_PARAM_TABLE(table, "noam", noam_params, NOAM_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const noam_params *p = params;
    const double warmup = fmax(1, (double)rv_phase_length(p->warmup_steps, p->warmup_fraction, total));
    const double n = (double)step + 1;
    return fmin(1 / sqrt(n), n / (warmup * sqrt(warmup))) / sqrt((double)p->d_model);
}

const rv_schedule_info rv_schedule_noam = {
    .name = "noam",
    .title = "Warm-up and inverse square root of the Transformer paper",
    .equation = "d_model^-1/2 min(n^-1/2, n W^-3/2), n = k + 1",
    .reference = "Vaswani et al. 2017, Attention is all you need, equation 3",
    .params = &table,
    .factor = factor,
};
