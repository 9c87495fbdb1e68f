/* The trials of a benchmark, planned before the first one runs. */
#ifndef RV_BENCH_PLAN_H
#define RV_BENCH_PLAN_H

#include <jansson.h>

#include "ravine/bench.h"

typedef struct rv_plan_problem {
    const char *label, *workload, *title, *metric; /* borrowed from suite and registry */
    bool maximize;
    double target;
} rv_plan_problem;

typedef struct rv_plan_trial {
    int problem, optimizer, point; /* point: index into the settings of (problem, optimizer) */
    int64_t seed;
    char *config;                  /* resolved */
    char id[256];
} rv_plan_trial;

typedef struct rv_plan {
    json_t *suite; /* as asked for, without the optimizers that were left out */
    int problems, optimizers, seeds;
    rv_plan_problem *problem; /* [problems] */
    const char **optimizer;   /* [optimizers] labels, borrowed from suite */
    json_t **settings;        /* [problems][optimizers] arrays of {"lr": 0.001, ...} */
    rv_plan_trial *trials;    /* seed by seed, so that an early stop leaves a whole comparison */
    int count;
} rv_plan;

/* optimizers: comma-separated labels to keep, NULL for all.  RV_E_FORMAT, RV_E_ARGUMENT,
 * RV_E_UNKNOWN name the entry of the suite.  Release also after a failure. */
rv_status rv_plan_make(rv_plan *plan, const char *suite_json, const char *optimizers, rv_error *err);
void rv_plan_release(rv_plan *plan);

#endif
