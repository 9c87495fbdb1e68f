/* Sources of trials.  Each reader runs twice over its source: first to see names, from which
 * the ruleset is recognised, then, with the ruleset, for the numbers. */
#ifndef RV_BENCH_READ_H
#define RV_BENCH_READ_H

#include "bench/trials.h"
#include "core/file.h"

typedef struct rv_reading {
    const rv_trials_options *options;
    const rv_ruleset *ruleset; /* NULL: names only */
    const char *clock;         /* of the second pass */
    rv_trials *trials;         /* of the second pass */
    /* What the first pass saw. */
    rv_names workloads;
    bool external, self;       /* some row, or folder, says so */
    bool ravine;               /* some source is Ravine's own */
    int trials_seen;           /* labels of trials in a study: 0: no trials, 1, 2: several */
    char first_trial[64];      /* the label of the first */
    char own_ruleset[256];     /* what the first benchmark was run by; empty: it does not say */
    /* What the second pass left out. */
    rv_names unknown;          /* workloads that the ruleset does not name */
    size_t unscored, foreign, empty; /* rows marked so; of the other tuning; trials that left nothing */
    size_t unindexed;          /* trials of a table without indices of evaluation */
} rv_reading;

bool rv_read_scans(const rv_reading *reading); /* first pass */
/* Whether a workload takes part, which is noted where it does not; in the first pass its name is
 * kept and the answer is false. */
bool rv_read_workload(rv_reading *reading, const char *workload);
/* Counts a trial's label, in the first pass. */
void rv_read_trial_label(rv_reading *reading, const char *label);
/* Whether rows of this tuning take part; noted like that. */
bool rv_read_tuning(rv_reading *reading, rv_tuning tuning);

/* The readers.  Each answers whether the path is its kind, and reads it. */
rv_status rv_read_table(rv_reading *reading, const char *path, rv_error *err);
bool rv_is_logs(const char *path);
rv_status rv_read_logs(rv_reading *reading, const char *path, rv_error *err);
bool rv_is_runs(const char *path);
rv_status rv_read_runs(rv_reading *reading, const char *path, rv_error *err);

/* Names of the folders in a folder, sorted; release them also after a failure. */
rv_status rv_read_folders(const char *path, rv_names *names, rv_error *err);

#endif
