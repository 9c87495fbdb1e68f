/* What a measure sees while it runs: the point, the function to probe, and where it puts what
 * it finds. */
#ifndef RV_MEASURES_MEASURE_H
#define RV_MEASURES_MEASURE_H

#include "ravine/measure.h"
#include "ravine/probe.h"
#include "ravine/trial.h"
#include "report/figure.h"

#define RV_MEASURE_COMMON(REAL, INT, BOOL, CHOICE, TEXT)                                     \
    INT(seed, 0, 0, 4294967295, 0, "of mini-batches and random directions")                  \
    INT(batches, 8, 1, 1000000, RV_PARAM_LOG, "mini-batches whose mean loss is the function that is probed") \
    INT(evaluate, 1000, 0, 1000000000, 0, "examples of a split behind a line or plane, where the workload can limit it; 0: all")
RV_PARAM_STRUCT(rv_measure_params, RV_MEASURE_COMMON);

struct rv_measure_run {
    const rv_measure *measure; /* that runs now */
    const rv_measure_options *options;
    rv_measure_params common;
    rv_point point;
    rv_probe_target target;    /* at point.w: the mean loss of the first `batches` mini-batches, training mode */
    int other_count;           /* further points */
    char **other_names;        /* [other_count] */
    void **others;             /* [other_count] their weights */
    json_t *values;            /* of this measure */
    json_t *figures, *notes;
    double begin, end;         /* of its share of the progress */
};

/* One number under a key of its own; quantity says what it is.  error: a standard error or bound, NaN: none. */
void rv_measure_value(rv_measure_run *run, const char *key, double value, double error, const char *quantity, ...)
    RV_PRINTF(5, 6);
rv_figure *rv_measure_figure(rv_measure_run *run, const char *name, const char *title, const char *caption, rv_axis x,
                             rv_axis y);
void rv_measure_note(rv_measure_run *run, const char *format, ...) RV_PRINTF(2, 3);
/* fraction of this measure; RV_E_INTERRUPTED when the user wants to stop. */
rv_status rv_measure_progress(rv_measure_run *run, double fraction);

#endif
