/* What a study sees while it runs: its seeds, data and workers, and where it puts what it
 * measures, draws and finds. */
#ifndef RV_STUDIES_STUDY_H
#define RV_STUDIES_STUDY_H

#include "ravine/study.h"
#include "report/figure.h"

struct rv_study_run {
    const rv_study *study;
    int seeds;        /* seeds 0 .. seeds - 1 */
    bool quick;
    const char *data; /* or NULL */
    rv_pool *pool;    /* borrowed; NULL: the calling thread */
    const rv_study_options *options;
    json_t *measured; /* {key: [value, ..]} */
    json_t *figures;  /* [figure, ..] */
    json_t *notes;    /* [text, ..] */
    json_t *reasons;  /* {key: text} */
    const char *undeclared; /* a key that was measured and is no claim: the run fails */
};

/* Records one value of the claim called key, in order of the seeds.  A key
 * that no claim declares fails the run.  A value that is not finite is recorded and lies in no interval. */
void rv_study_measure(rv_study_run *run, const char *key, double value);
/* A new figure of the page, in order; owned by the run. */
rv_figure *rv_study_figure(rv_study_run *run, const char *name, const char *title, const char *caption,
                           rv_axis x, rv_axis y);
/* Sets parameters from "name=value[,name=value..]"; NULL is none. */
rv_status rv_study_set(const rv_param_table *table, void *values, const char *text, rv_error *err);
/* A finding in words, for the page: what the numbers say beside the claims. */
void rv_study_note(rv_study_run *run, const char *format, ...) RV_PRINTF(2, 3);
/* Why the claim called key does not hold where it does not: shown beside it then, and only then.
 * One sentence or two; the page itself says how many values lie outside. */
void rv_study_reason(rv_study_run *run, const char *key, const char *format, ...) RV_PRINTF(3, 4);
/* Tells how far it is; RV_E_INTERRUPTED when the user wants to stop. */
rv_status rv_study_progress(rv_study_run *run, double fraction, const char *format, ...) RV_PRINTF(3, 4);

#endif
