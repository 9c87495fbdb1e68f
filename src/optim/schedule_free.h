/* What the Schedule-Free methods share.  The weights are y, where gradients are taken; z is the
 * base iterate and x the average to evaluate.  Invariant: y = b x + (1 - b) z, so that x is
 * never stored. */
#ifndef RV_OPTIM_SCHEDULE_FREE_H
#define RV_OPTIM_SCHEDULE_FREE_H

#include <math.h>

#include "optim/method.h"

/* One step: z <- z - eta d and x <- (1 - mix) x + mix z, which make
 * y <- y + mix (z - y) + back d  with the old z. */
typedef struct rv_sf_move {
    double mix, back, eta;
} rv_sf_move;

/* The move of a step with this weight in the average, after steps whose weights sum to `sum`. */
static inline rv_sf_move rv_sf_move_of(double eta, double b, double weight, double sum)
{
    const double mix = sum + weight > 0 ? weight / (sum + weight) : 0;
    return (rv_sf_move){.mix = mix, .back = eta * (b * (1 - mix) - 1), .eta = eta};
}

/* The factor of a linear warm-up. */
static inline double rv_sf_warmup(int64_t step, int64_t warmup_steps)
{
    return step < warmup_steps ? (double)step / (double)warmup_steps : 1;
}

/* dst [count]: x = y + (1 - 1/b) (z - y), z in a slot. */
void rv_sf_average(const rv_run *run, int slot_z, double b, void *const *dst);

#endif
