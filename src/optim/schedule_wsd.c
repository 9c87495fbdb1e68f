/* Warm-up, stable, decay (trapezoid).  Factor of step 0: start, 1/W or 1/(W + 1) by ramp. */
#include <math.h>

#include "optim/schedule.h"

#define WSD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    RV_WARMUP_PARAMS(REAL, INT, CHOICE)                                                    \
    INT(decay_steps, 0, 0, 1e15, 0, "steps of the decay at the end; 0: decay_fraction counts") \
    REAL(decay_fraction, 0.2, 0, 1, 0, "decay as a share of all steps")                    \
    CHOICE(decay, "linear|sqrt", "linear", "shape of the decay: (T - k)/D or 1 - sqrt((k - (T - D))/D)") \
    REAL(end, 0, 0, 1, 0, "factor at the end")
RV_PARAM_STRUCT(wsd_params, WSD_PARAMS);
RV_PARAM_TABLE(table, "wsd", wsd_params, WSD_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const wsd_params *p = params;
    const int64_t warmup = rv_phase_length(p->warmup_steps, p->warmup_fraction, total);
    const int64_t decay = rv_phase_length(p->decay_steps, p->decay_fraction, total);
    if (step < warmup)
        return rv_warmup_factor(p->ramp, p->start, step, warmup);
    if (step <= total - decay && step < total)
        return 1;
    if (step >= total)
        return p->end;
    const double at = (double)(step - (total - decay)) / (double)decay;
    return p->end + (1 - p->end) * (1 - (p->decay == 0 ? at : sqrt(at)));
}

const rv_schedule_info rv_schedule_wsd = {
    .name = "wsd",
    .title = "Warm-up, stable, decay (trapezoid)",
    .equation = "k < W: as warmup; 1 until T - D; then end + (1 - end) (1 - x) or (1 - sqrt(x)), x = (k - (T - D))/D; "
                "from step T on: end",
    .reference = "Hu et al. 2024, MiniCPM; Haegele et al. 2024 (1 - sqrt)",
    .params = &table,
    .factor = factor,
};
