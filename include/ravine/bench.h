/* Benchmarks: the same problems, budgets and search effort for every optimizer,
 * and the ranking by time to target that comes out. */
#ifndef RAVINE_BENCH_H
#define RAVINE_BENCH_H

#include "ravine/trial.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_suite {
    const char *name, *title;
    /* JSON: {"problems": [{"workload", "label", "config": {partial configuration}, "target", "stands_for"}...],
     *        "optimizers": [{"label", "optimizer", "optimizer_params", "schedule", ...,
     *                        "grid": {"lr": [..]} or "search_space", "sampler",
     *                        "problems": {"label": {overrides}}}...],
     *        "submissions": [name, file or object...], "ruleset": name or file,
     *        "seeds": [..] or "studies": number, "search_seed": number} */
    const char *json;
} rv_suite;

RV_API const rv_suite *rv_suite_at(int i);              /* built in; NULL beyond the last */
RV_API const rv_suite *rv_suite_find(const char *name); /* NULL: none of that name */

/* ---- search ------------------------------------------------------------ */

/* How the trials of a study are placed in a search space. */
typedef struct rv_sampler_info {
    const char *name, *title, *description, *reference;
    bool same_in_every_study; /* false: a study gets its own share of one sequence */
} rv_sampler_info;
RV_API const rv_sampler_info *rv_sampler_at(int i); /* NULL beyond the last */

/* A tuning method as data: search space, what its hyperparameters mean for a configuration, and
 * batch sizes (docs/formats.md, "A submission"). */
typedef struct rv_submission {
    const char *name, *json;
} rv_submission;
RV_API const rv_submission *rv_submission_at(int i); /* built in; NULL beyond the last */
RV_API const rv_submission *rv_submission_find(const char *name); /* NULL: none of that name */

/* A built-in name, or the path of a file that ends in .json, read and checked as a benchmark
 * would; *text (caller frees) is its JSON.  RV_E_UNKNOWN with the nearest name, RV_E_FORMAT. */
RV_API rv_status rv_submission_load(const char *name, char **text, rv_error *err);
/* "amos, cyclic": optimizers, wrappers and schedules that a submission (JSON text) asks for and this library
 * has not; empty: none is missing.  Returns the length, as snprintf does. */
RV_API int rv_submission_missing(const char *json, char *text, size_t size);

/* ---- running ----------------------------------------------------------- */

typedef struct rv_bench_progress {
    int trials, done;
    double eta; /* seconds, NaN: unknown yet */
    const char *problem, *optimizer; /* of the trial that ended last */
} rv_bench_progress;

typedef struct rv_bench_options {
    const char *dir;        /* of run folders and record; made if missing */
    const char *data;       /* folder of data sets, or NULL: procedural data */
    int jobs;               /* trials side by side, one worker each, >= 1 */
    const char *optimizers; /* "adamw,muon": keep only these labels; NULL: all */
    const char *submissions; /* "baseline,mine.json": these in place of all the suite compares; NULL: the suite's */
    const char *ruleset;    /* name or file, "external", "self"; NULL: the suite's */
    int studies;            /* 0: as the suite or the ruleset says */
    const volatile int *stop; /* non-zero ends it with a checkpoint of every trial that runs; may be NULL */
    /* Called by workers, one at a time; may be NULL. */
    void (*progress)(void *context, const rv_bench_progress *progress);
    void (*note)(void *context, const char *line);
    void *context;
    int argc;               /* for the record; may be 0 */
    char *const *argv;
} rv_bench_options;

/* Plans all trials up front, runs what is missing, writes DIR/bench.json (suite,
 * trials, scores).  RV_E_INTERRUPTED when stopped; running again goes on.  RV_E_FORMAT,
 * RV_E_UNKNOWN, RV_E_RANGE, RV_E_ARGUMENT for what the suite says, before anything runs; a trial
 * that fails does not stop the others, and the first failure is what is returned.  Several processes
 * may work on one folder, on machines that share it with its locks: each takes the trials that no
 * other one runs, and takes up those of a process that died. */
RV_API rv_status rv_bench_run(const char *suite_json, const rv_bench_options *options, rv_error *err);

/* The ranking of DIR/bench.json as text for a terminal of that many columns; caller frees with free().
 * RV_E_IO, RV_E_FORMAT: of the file. */
RV_API rv_status rv_bench_table(const char *dir, int width, bool colour, char **text, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
