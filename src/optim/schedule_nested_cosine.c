/* Warm-up, then three cosines, each from the height that the cosine over the whole run has where
 * it begins: the schedule of AlgoPerf v0.5's CASPR Adaptive.  Factor of step 0: 0. */
#include <math.h>

#include "optim/schedule.h"

#define NESTED_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(warmup_fraction, 0.02, 0, 1, RV_PARAM_OPEN_HI, "warm-up as a share of the first part, and of all for the outer cosine") \
    REAL(first, 0.53571619898, 0, 1, RV_PARAM_OPEN_LO, "end of the first cosine, share of all steps") \
    REAL(second, 0.75, 0, 1, RV_PARAM_OPEN_LO, "end of the second")
RV_PARAM_STRUCT(nested_params, NESTED_PARAMS);
RV_PARAM_TABLE(table, "nested_cosine", nested_params, NESTED_PARAMS);

/* Linear warm-up over whole steps, then a cosine to the end of `length`. */
static double warm_cosine(double k, double length, double warmup_fraction)
{
    const double warmup = floor(warmup_fraction * length);
    if (k < warmup)
        return k / warmup;
    return rv_cosine_factor((k - warmup) / fmax(length - warmup, 1), 0);
}

static double factor(const void *params, int64_t step, int64_t total)
{
    const nested_params *p = params;
    const double k = (double)step, all = (double)total;
    const double first = p->first * all, second = fmax(p->second, p->first) * all;
    if (k < first)
        return warm_cosine(k, first, p->warmup_fraction);
    const double start = k < second ? first : second, end = k < second ? second : all;
    if (!(end > start))
        return 0;
    return warm_cosine(start, all, p->warmup_fraction) * rv_cosine_factor((k - start) / (end - start), 0);
}

const rv_schedule_info rv_schedule_nested_cosine = {
    .name = "nested_cosine",
    .title = "Three cosines inside one",
    .equation = "k < first T: warm-up and cosine over first T; then h(first T) cos and h(second T) cos over the two rests, "
                "h the warm-up and cosine over T",
    .reference = "mlcommons/submissions_algorithms AlgoPerf v0.5 caspr_adaptive submission.py",
    .params = &table,
    .factor = factor,
};
