/* Schedules: what families share.  A schedule is one file and one line in schedules.def. */
#ifndef RV_OPTIM_SCHEDULE_H
#define RV_OPTIM_SCHEDULE_H

#include "ravine/optim.h"

/* Warm-up over W steps, W = warmup_steps or, when that is 0, warmup_fraction of the total. */
#define RV_WARMUP_PARAMS(REAL, INT, CHOICE)                                                                \
    INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up; 0: warmup_fraction counts")                  \
    REAL(warmup_fraction, 0.02, 0, 1, 0, "warm-up as a share of all steps")                                 \
    REAL(start, 0, 0, 1, 0, "factor at step 0, for ramp=zero")                                              \
    CHOICE(ramp, "zero|first|nanogpt", "first", "factor of warm-up step k: start + (1 - start) k/W, (k + 1)/W or (k + 1)/(W + 1)")

enum { RV_RAMP_ZERO, RV_RAMP_FIRST, RV_RAMP_NANOGPT };

/* One cycle: phases between values, of the rate or of the momentum. */
#define RV_CYCLE_PARAMS(REAL, BOOL, CHOICE)                                                 \
    REAL(rise, 0.3, 0, 1, RV_PARAM_OPEN_HI, "share of the steps in which the rate rises")   \
    CHOICE(anneal, "cos|linear", "cos", "shape of the phases")                              \
    BOOL(three_phase, false, "fall as long as it rose, then on to the final value")

typedef struct rv_cycle {
    double rise;
    int anneal;
    bool three_phase;
    double value[4]; /* at the start and at the end of each phase */
} rv_cycle;

/* The value at a step; phases end at steps that need not be whole. */
double rv_cycle_value(const rv_cycle *cycle, int64_t step, int64_t total);

/* steps, or when that is 0 the fraction of the total. */
int64_t rv_phase_length(int64_t steps, double fraction, int64_t total);
/* The factor of step < length. */
double rv_warmup_factor(int ramp, double start, int64_t step, int64_t length);
/* Half a cosine from 1 to end as at goes from 0 to 1; clamped beyond. */
double rv_cosine_factor(double at, double end);

#endif
