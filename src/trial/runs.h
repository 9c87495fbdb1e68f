/* Run folders as scores, reports and exports see them. */
#ifndef RV_TRIAL_RUNS_H
#define RV_TRIAL_RUNS_H

#include <jansson.h>

#include "ravine/core.h"

/* Names of all run folders below dir (those with a config.json), sorted: paths from dir
 * with '/' between levels; links are not followed.  When dir is itself a run, the one
 * name is ".". */
typedef struct rv_runs {
    char **name;
    int count;
} rv_runs;
rv_status rv_runs_list(rv_runs *runs, const char *dir, rv_error *err);
void rv_runs_release(rv_runs *runs);

typedef struct rv_run {
    const char *name;      /* borrowed; the folder's own name for "." */
    json_t *config;
    json_t *meta, *result; /* NULL: not there */
    json_t *log;           /* array of objects, one per line */
} rv_run;
/* RV_E_FORMAT names file and line; a torn last line of the log is ignored. */
rv_status rv_run_load(rv_run *run, const char *dir, const char *name, rv_error *err);
void rv_run_release(rv_run *run);

/* "train" for a training line, the name of the split for an evaluation. */
const char *rv_run_split(const json_t *line);
/* The measured values of a line: its "metrics" object, or the line itself. */
const json_t *rv_run_values(const json_t *line);
/* Whether key of a training line is a coordinate (step, examples, seconds) or a label. */
bool rv_run_is_coordinate(const char *key);

#endif
