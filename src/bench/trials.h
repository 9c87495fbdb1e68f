/* Trials as the scorer holds them: names are numbers, curves lie in three long arrays. */
#ifndef RV_BENCH_TRIALS_H
#define RV_BENCH_TRIALS_H

#include "ravine/score.h"

/* Distinct names, numbered as they come. */
typedef struct rv_names {
    char **name;
    int count, capacity;
    int *slot; /* open addressing: number + 1, 0: free */
    int slots; /* a power of two, 0 at first */
} rv_names;
/* The number of a name, which is added when new; -1: no memory. */
int rv_names_put(rv_names *names, const char *name);
int rv_names_find(const rv_names *names, const char *name); /* -1: none */
void rv_names_release(rv_names *names);
/* rank [count]: the place of each name in natural order, "trial_2" before "trial_10". */
bool rv_names_rank(const rv_names *names, int *rank);

/* Which competition a row says it belongs to. */
typedef enum rv_tuning { RV_TUNING_UNKNOWN, RV_TUNING_EXTERNAL, RV_TUNING_SELF } rv_tuning;

typedef struct rv_trial_entry {
    int submission, workload, study, trial;
    double time, order, merit; /* merit breaks ties of RV_PICK_SETTING, larger is better; NAN: none */
    size_t curve, points;      /* evaluations, when they are known */
    double spent;              /* on the clock, when the trial ended; not positive: unknown */
    double target;             /* of the run itself, where the ruleset has none */
    bool maximize;
    rv_tuning tuning;
    int source;                /* of an error: a file's name, -1: none */
    size_t line;
} rv_trial_entry;

/* The time of a whole cell, where a table holds nothing finer. */
typedef struct rv_cell_entry {
    int submission, workload;
    double time;
    int studies, solved; /* -1: not told */
    rv_tuning tuning;
    int source;
    size_t line;
} rv_cell_entry;

struct rv_trials {
    char clock_name[64]; /* "": not told */
    rv_names submissions, workloads, studies, settings, sources;
    rv_trial_entry *entry;
    size_t count, capacity;
    rv_cell_entry *cell;
    size_t cells, cell_capacity;
    /* Evaluations: the metric, the clock, and what order compares. */
    double *value, *clock, *order;
    size_t points, point_capacity;
};

/* Appends; the entry's curve starts at trials->points until points are put. */
rv_status rv_trials_put(rv_trials *trials, const rv_trial_entry *entry, rv_error *err);
rv_status rv_trials_put_cell(rv_trials *trials, const rv_cell_entry *cell, rv_error *err);
rv_status rv_trials_put_point(rv_trials *trials, double value, double clock, double order, rv_error *err);

/* Time and order of the first evaluation that is as good as the target (of the workload, or
 * of the run where that is NULL or has none), made easier by slack, a share of its size; both
 * INFINITY when there is none, and as the entry says when it has no curve or knows without slack. */
void rv_trial_reach(const rv_trials *trials, const rv_trial_entry *entry, const rv_ruleset_workload *workload,
                    double slack, double *time, double *order);

#endif
