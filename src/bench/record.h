/* DIR/bench.json: everything a ranking or a report needs, in one file. */
#ifndef RV_BENCH_RECORD_H
#define RV_BENCH_RECORD_H

#include "bench/plan.h"

typedef enum rv_trial_state { RV_TRIAL_PENDING, RV_TRIAL_DONE, RV_TRIAL_FAILED } rv_trial_state;

/* What became of one planned trial. */
typedef struct rv_record_trial {
    rv_trial_state state;
    rv_trial_result result; /* of DONE */
    rv_status status;       /* of FAILED */
    char error[256];        /* of FAILED */
} rv_record_trial;

/* The whole of bench.json: {"format", "ravine", "machine", "finished", "complete", "jobs",
 * "command", "suite", "notes", "trials", "scores"}.  notes (borrowed, may be NULL): what trials said
 * about their data, [{"problem", "line"}].  Returns a new reference, NULL without memory. */
json_t *rv_record_make(const rv_plan *plan, const rv_record_trial *trials, const rv_bench_options *options,
                       json_t *notes);

/* Its "scores" by a ruleset on all clocks: {"ruleset", "problems", "optimizers", "cells"}; NULL without
 * memory. */
json_t *rv_record_scores(const rv_plan *plan, const rv_record_trial *trials, const char *ruleset);

#endif
