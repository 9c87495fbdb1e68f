/* Search spaces in the format of AlgoPerf's tuning_search_space.json: an object
 *     {"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
 *      "beta2": {"feasible_points": [0.9, 0.99, 0.999]}}
 * or a list of points, [{"learning_rate": 1e-3, "beta2": 0.99}, ...]. */
#ifndef RV_BENCH_SPACE_H
#define RV_BENCH_SPACE_H

#include <jansson.h>

#include "bench/sampler.h"

typedef struct rv_space_dim {
    const char *name;
    json_t *feasible;  /* list, NULL: a range */
    double min, max;
    bool log;
} rv_space_dim;

typedef struct rv_space {
    json_t *json;      /* owns the texts below */
    int points;        /* of a list; 0: ranges */
    int dims;
    rv_space_dim *dim; /* [dims], NULL for a list */
} rv_space;

/* source names the file or entry in errors (RV_E_FORMAT: key, expected, found; RV_E_RANGE).
 * json is borrowed and kept by reference.  Release also after a failure. */
rv_status rv_space_read(rv_space *space, json_t *json, const char *source, rv_error *err);
void rv_space_release(rv_space *space);

/* Names of the hyperparameters, number i of dims (ranges) or of the first point (a list). */
const char *rv_space_name(const rv_space *space, int i);

/* {"learning_rate": 0.002, ...} at u [dims] in [0, 1]: min (max/min)^u, min + u (max - min) or the
 * feasible point number floor(u n).  New reference, NULL without memory. */
json_t *rv_space_point(const rv_space *space, const double *u);

/* What the studies of a tuning method try. */
typedef struct rv_study_points {
    json_t *list;  /* of points */
    int per_study; /* study s tries this many, from number s * stride on */
    int stride;    /* 0: every study tries the same */
} rv_study_points;

/* A list gives its points to every study; a space gives studies x trials drawn points, cut in
 * the order they were drawn, or where the sampler says so the same to each study.
 * RV_E_RANGE: a list longer than the trials of a study.  json_decref(points->list). */
rv_status rv_space_draw(const rv_space *space, const rv_point_sampler *sampler, int studies, int trials, uint64_t seed,
                        const char *source, rv_study_points *points, rv_error *err);

#endif
