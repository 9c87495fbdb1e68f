/* Independent uniform points.  Invariant: a point is a pure function of (seed, number, dimension),
 * so that asking for more points changes none of the first. */
#include "bench/sampler.h"

static rv_status draw(const rv_point_request *request, double *points, int *made, rv_error *err)
{
    (void)err;
    *made = request->count;
    for (int i = 0; i < request->count; i++)
        for (int d = 0; d < request->dims; d++)
            points[i * request->dims + d] =
                rv_random_uniform((rv_random){request->seed, RV_RANDOM_SEARCH, (uint64_t)d}, (uint64_t)i);
    return RV_OK;
}

const rv_point_sampler rv_point_sampler_random = {
    .info = {.name = "random",
             .title = "Independent uniform points",
             .description = "Coordinate d of point i is the Philox number i of stream (seed, d).",
             .reference = "Bergstra and Bengio 2012, Random search for hyper-parameter optimization"},
    .draw = draw,
};
