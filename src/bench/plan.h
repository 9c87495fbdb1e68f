/* The trials of a benchmark, planned before the first one runs. */
#ifndef RV_BENCH_PLAN_H
#define RV_BENCH_PLAN_H

#include <jansson.h>

#include "bench/submission.h"
#include "ravine/bench.h"

typedef struct rv_plan_problem {
    const char *label, *workload, *title, *metric; /* borrowed from suite and registry */
    const char *stands_for; /* name that batch rules know it by */
    const rv_workload *registered;
    bool maximize;
    double target;
    /* One reference budget; batch 0: not stated. */
    int64_t steps, batch, eval_every;
    double seconds; /* 0: none stated */
} rv_plan_problem;

/* What is tried on every problem: an optimizer of the suite or a submission. */
typedef struct rv_plan_entry {
    const json_t *json;  /* borrowed from suite */
    bool submission;
    rv_entrant entrant;  /* of a submission */
    rv_space space;      /* of an optimizer with a search space */
    const rv_point_sampler *sampler;
    bool has_space;
} rv_plan_entry;

typedef struct rv_plan_trial {
    int problem, optimizer, point; /* point: index into the settings of (problem, optimizer) */
    int study;
    int64_t seed;
    int same_as;                   /* an earlier trial that is this very run; -1: none */
    char *config;                  /* resolved */
    char id[256];
} rv_plan_trial;

typedef struct rv_plan {
    json_t *suite; /* as asked for: without the optimizers that were left out, submissions and seeds
                      written out, and with the ruleset's name */
    struct rv_ruleset *ruleset; /* owned */
    bool strict;              /* the suite asks for the ruleset: its limits hold */
    int problems, optimizers; /* submissions count as optimizers */
    int seeds;                /* studies */
    rv_plan_problem *problem; /* [problems] */
    const char **optimizer;   /* [optimizers] labels, borrowed from suite */
    rv_plan_entry *entry;     /* [optimizers] */
    json_t **settings;        /* [problems][optimizers] arrays of {"lr": 0.001, ...} */
    rv_plan_trial *trials;    /* study by study, so that an early stop leaves a whole comparison */
    int count;
} rv_plan;

/* options: optimizers, submissions, ruleset and studies count.  RV_E_FORMAT, RV_E_ARGUMENT, RV_E_RANGE,
 * RV_E_UNKNOWN, RV_E_UNSUPPORTED name the entry of the suite.  Release also after a failure. */
rv_status rv_plan_make(rv_plan *plan, const char *suite_json, const rv_bench_options *options, rv_error *err);
void rv_plan_release(rv_plan *plan);

/* suite_read.c: everything of the plan but settings and trials. */
rv_status rv_suite_read(rv_plan *plan, const char *text, const rv_bench_options *options, rv_error *err);
rv_status rv_plan_need(const void *pointer, rv_error *err);

/* budget.c: "train" of a trial under the ruleset's clock, for its batch rule and overhead. */
rv_status rv_plan_budget(const rv_plan *plan, int problem, int optimizer, json_t *config, rv_error *err);
/* What a training example is charged by the clock of examples: 1, or a submission's overhead. */
double rv_plan_overhead(const rv_plan *plan, int optimizer);
/* {"steps", "batch", "eval_every", "examples"}: what expressions know of a problem.  New reference. */
json_t *rv_plan_given(const rv_plan_problem *problem, const rv_plan_entry *entry);

#endif
