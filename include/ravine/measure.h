/* Measures: what can be found out at a point where somebody's training stands.
 *
 * A measure is one file and one line of a table.  It takes saved weights (ravine/trial.h),
 * uses the probes (ravine/probe.h), and yields named values and figures. */
#ifndef RAVINE_MEASURE_H
#define RAVINE_MEASURE_H

#include "ravine/param.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_measure_run rv_measure_run; /* measures/measure.h */

typedef struct rv_measure {
    const char *name;        /* "hessian" */
    const char *title;       /* one line */
    const char *description; /* what is computed and what it is worth; several lines */
    const char *source;
    const rv_param_table *params;
    int others; /* further saved points that it needs at least */
    bool usual; /* runs when no measure is named */
    rv_status (*run)(rv_measure_run *run, const void *params, rv_error *err);
} rv_measure;

RV_API const rv_measure *rv_measure_at(int i); /* in order of registration; NULL beyond the last */
RV_API const rv_measure *rv_measure_find(const char *name);
/* The parameters that all measures share: seed and mini-batches. */
RV_API const rv_param_table *rv_measure_common(void);
/* Title, texts and parameters are well formed. */
RV_API rv_status rv_measure_check(const rv_measure *measure, rv_error *err);

typedef struct rv_measure_options {
    const char *dir;  /* results go here; NULL: runs/probe/<run>-step<step> */
    const char *data; /* folder of data sets, or NULL: procedural data */
    int threads;      /* >= 1; results do not depend on it */
    const char *language; /* in which the page opens, "en" or "ru"; NULL: English.  Both are in it */
    bool raw;         /* the weights that were stepped, not those to evaluate */
    const char *const *measures; /* [measure_count] names; none: the usual ones */
    int measure_count;
    bool other_data;  /* weights of other data than those here are measured, and told of */
    const char *const *with; /* [with_count] further saved points; a folder of checkpoints stands for all of them */
    int with_count;
    /* [set_count] of "name=value": of a measure, common, or of what was trained ("workload.dropout=0"). */
    const char *const *set;
    int set_count;
    const volatile int *stop; /* non-zero ends it between two parts; may be NULL */
    void (*progress)(void *context, double fraction, const char *text); /* may be NULL */
    void (*note)(void *context, const char *line);                      /* may be NULL */
    void *context;
} rv_measure_options;

/* Measures at the saved point at path (rv_point_load) and writes DIR/probe.json, DIR/index.html
 * (self-contained) and one CSV per figure.  json (may be NULL) receives {"folder", "file", "workload",
 * "step", "data", "with": the further points, "asked": {"with", "set"} as given, "measures": [{"measure", "values": [{"key", "quantity", "value", "error"}, ..]}, ..], "figures": [..],
 * ..}; caller frees with free().  RV_E_UNKNOWN and RV_E_RANGE for names and values, before anything runs. */
RV_API rv_status rv_measure_execute(const char *path, const rv_measure_options *options, char **json, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
