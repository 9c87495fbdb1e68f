/* What averages of the weights share.  Invariant: an average is a sum of weights whose shares
 * add up to `mass`, a scalar of the state, or to one. */
#ifndef RV_OPTIM_AVERAGE_H
#define RV_OPTIM_AVERAGE_H

#include "optim/method.h"

/* After-step: slot 0 <- keep slot 0 + take w; with keep 0 it becomes w itself. */
rv_status rv_average_add(const rv_run *run, double keep, double take);
/* dst [count] <- slot 0 / mass. */
void rv_average_read(const rv_run *run, double mass, void *const *dst);

/* The state of an average whose mass is one: slot "average", scalar "taken"; what it evaluates
 * is the average once something was taken. */
extern const rv_slot rv_average_slots[1];
extern const char *const rv_average_scalars[1];
void rv_average_evaluate(const rv_run *run, void *const *dst);

/* Which steps an average takes. */
#define RV_AVERAGE_WHEN(INT)                                                             \
    INT(start, 0, 0, 1e15, 0, "steps before the first that counts")                      \
    INT(interval, 1, 1, 1e15, 0, "every how many steps, counted from step 0")

static inline bool rv_average_due(int64_t step, int64_t start, int64_t interval)
{
    return step > start && step % interval == 0;
}

#endif
