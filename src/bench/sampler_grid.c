/* The full grid.  Invariant: ranges share one number of levels, the largest with which all
 * combinations still number at most as many as were asked for; both ends are levels. */
#include "bench/sampler.h"

/* levels^ranges * choices, or limit + 1 when that is more. */
static int64_t grid_size(const rv_point_request *request, int64_t levels, int64_t limit)
{
    int64_t size = 1;
    for (int d = 0; d < request->dims; d++) {
        int64_t n = request->choices[d] > 0 ? request->choices[d] : levels;
        if (size > limit / n)
            return limit + 1;
        size *= n;
    }
    return size;
}

/* Level i of n; of feasible points the middle of their cell, which maps to them exactly. */
static double level_at(int64_t i, int64_t n, bool range)
{
    if (!range || n == 1)
        return ((double)i + 0.5) / (double)n;
    return (double)i / (double)(n - 1);
}

static rv_status draw(const rv_point_request *request, double *points, int *made, rv_error *err)
{
    int64_t levels = 1, limit = request->count, ranges = 0;
    for (int d = 0; d < request->dims; d++)
        ranges += request->choices[d] == 0;
    if (grid_size(request, 1, limit) > limit)
        return rv_fail(err, RV_E_RANGE, "grid: the feasible points alone have more than %d combinations",
                       request->count);
    while (ranges > 0 && grid_size(request, levels + 1, limit) <= limit)
        levels++;
    *made = (int)grid_size(request, levels, limit);
    for (int i = 0; i < *made; i++) {
        int64_t number = i;
        for (int d = 0; d < request->dims; d++) {
            bool range = request->choices[d] == 0;
            int64_t n = range ? levels : request->choices[d];
            points[i * request->dims + d] = level_at(number % n, n, range);
            number /= n;
        }
    }
    return RV_OK;
}

const rv_point_sampler rv_point_sampler_grid = {
    .info = {.name = "grid",
             .title = "The full grid",
             .description = "All combinations of the feasible points and of equally spaced levels (in the scaling) of every\n"
                            "range, ends included; as many levels as keep their number within the trials of a study.\n"
                            "Every study gets the same points; the seed plays no part.",
             .reference = "exhaustive search",
             .same_in_every_study = true},
    .draw = draw,
};
