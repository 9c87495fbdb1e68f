/* What the methods share that estimate the distance D to the solution by a growing lower
 * bound d.  Invariant: d never falls, and no estimate that is not a number reaches it. */
#ifndef RV_OPTIM_DISTANCE_H
#define RV_OPTIM_DISTANCE_H

#include <math.h>

#include "optim/method.h"

/* The scalar `slot`, which is zero before the first step and d0 then. */
static inline double rv_distance(const rv_run *run, int slot, double d0)
{
    return run->scalars[slot] > 0 ? run->scalars[slot] : d0;
}

/* max(d, min(found, d growth)); growth 0 sets no limit. */
static inline double rv_distance_grown(double d, double found, double growth)
{
    if (!(found > d) || !isfinite(found))
        return d;
    return growth > 0 ? fmax(d, fmin(found, d * growth)) : found;
}

/* The condition on growth, said once. */
static inline rv_status rv_distance_check(const char *method, double growth, rv_error *err)
{
    if (growth != 0 && growth < 1)
        return rv_fail(err, RV_E_ARGUMENT, "%s: growth_rate must be 0 (no limit) or at least 1, found %g", method,
                       growth);
    return RV_OK;
}

#endif
