/* What the Schedule-Free methods share.  The weights are y, where gradients are taken; z is the
 * base iterate and x the average to evaluate.  Invariant: y = b x + (1 - b) z, so that x is
 * never stored. */
#ifndef RV_OPTIM_SCHEDULE_FREE_H
#define RV_OPTIM_SCHEDULE_FREE_H

#include <math.h>

#include "optim/method.h"
#include "optim/rows.h"

/* Rows of their tables. */
#define RV_HP_SF_PLACE(REAL, name) \
    REAL(name, 0.9, 0, 1, RV_PARAM_OPEN_LO, "place of y between z (0) and the average x (1)")
#define RV_HP_SF_WARMUP(INT) INT(warmup_steps, 0, 0, 1e15, 0, "steps of linear warm-up")
#define RV_HP_SF_WEIGHTS(REAL)                                                           \
    REAL(r, 0, 0, 100, 0, "power of the step in the weights of the average")              \
    REAL(weight_lr_power, 2, 0, 100, 0, "power of the largest learning rate in these weights")

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
