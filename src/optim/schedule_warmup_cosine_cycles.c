/* Warm-up and cosine, restarted with a shorter way down each time: AlgoPerf v0.5's WarmCosine
 * (cycles 1) and WarmCosineCycles.  There the scheduler is stepped after the update, so that the
 * very first one runs at the largest rate; first=smooth starts at `least`. */
#include "optim/schedule.h"

#define CYCLES_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                       \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of each linear warm-up; 0: warmup_fraction counts")             \
    REAL(warmup_fraction, 0.02, 0, 1, 0, "the same as a share of all steps")                                \
    INT(cycles, 2, 1, 1000, 0, "times that the rate warms up and falls")                                    \
    REAL(least, 1e-9, 0, 1, 0, "smallest factor")                                                           \
    CHOICE(first, "released|smooth", "released", "factor of step 0: 1 as released, or least")
RV_PARAM_STRUCT(cycles_params, CYCLES_PARAMS);
RV_PARAM_TABLE(table, "warmup_cosine_cycles", cycles_params, CYCLES_PARAMS);

enum { RELEASED, SMOOTH };

static double factor(const void *params, int64_t step, int64_t total)
{
    const cycles_params *p = params;
    const double warmup = (double)rv_phase_length(p->warmup_steps, p->warmup_fraction, total);
    const double length = (double)total / (double)p->cycles, n = (double)step;
    if (step == 0)
        return p->first == RELEASED ? 1 : p->least;
    for (int64_t cycle = 0; cycle < p->cycles; cycle++) {
        const double start = (double)cycle * length;
        if (n <= start + warmup && warmup > 0)
            return p->least + (1 - p->least) * (n - start) / warmup;
        if (n <= start + length && length > warmup)
            return rv_cosine_factor((n - start - warmup) / (length - warmup), p->least);
    }
    return p->least;
}

const rv_schedule_info rv_schedule_warmup_cosine_cycles = {
    .name = "warmup_cosine_cycles",
    .title = "Warm-up and cosine decay, several times",
    .equation = "in each of the cycles of C = T/cycles steps: least + (1 - least) n/W, n <= W; then "
                "least + (1 - least) (1 + cos(pi (n - W)/(C - W)))/2, n the step within the cycle",
    .reference = "mlcommons/submissions_algorithms AlgoPerf v0.5 cyclic_lr WarmCosine, WarmCosineCycles",
    .params = &table,
    .factor = factor,
};
