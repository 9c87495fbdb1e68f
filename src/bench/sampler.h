/* Where in a search space the trials of a tuning method lie: points of the unit cube, which
 * space.c maps to values.  A sampler is one file and one line in samplers.def. */
#ifndef RV_BENCH_SAMPLER_H
#define RV_BENCH_SAMPLER_H

#include "ravine/bench.h"

typedef struct rv_point_request {
    int dims;
    const int *choices; /* [dims]: number of feasible points of a dimension, 0: a range */
    int count;          /* points wanted, >= 1 */
    uint64_t seed;
} rv_point_request;

typedef struct rv_point_sampler {
    rv_sampler_info info;
    /* points [count][dims], in [0, 1]; *made <= count.  RV_E_RANGE: more dimensions or points
     * than the method has. */
    rv_status (*draw)(const rv_point_request *request, double *points, int *made, rv_error *err);
} rv_point_sampler;

/* RV_E_UNKNOWN with the nearest name. */
rv_status rv_point_sampler_find(const char *name, const rv_point_sampler **sampler, rv_error *err);

#endif
