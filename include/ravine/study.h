/* Studies: experiments of a lecture, each with claims that are checked in numbers.
 *
 * A study declares its claims before it runs: a sentence, its source, and the interval
 * in which the measured number must lie.  Running it fills in what was measured; the
 * verdict follows from the declaration alone. */
#ifndef RAVINE_STUDY_H
#define RAVINE_STUDY_H

#include "ravine/param.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the values of several seeds decide. */
typedef enum rv_claim_over {
    RV_CLAIM_EVERY, /* each of them lies in the interval */
    RV_CLAIM_MEAN   /* their mean does */
} rv_claim_over;

typedef struct rv_claim {
    const char *key;      /* under which the run records its values */
    const char *text;     /* one sentence that is true or false */
    const char *quantity; /* what the number is: "f after 2000 steps" */
    const char *source;   /* slide, paper with equation, theorem; "control: why" for controls */
    double low, high;     /* of the interval; infinite where it is open */
    rv_claim_over over;
    bool full;            /* means nothing at the size of --quick: then it is not judged */
} rv_claim;

typedef struct rv_study_run rv_study_run; /* studies/study.h */

typedef struct rv_study {
    const char *name;     /* "double-descent" */
    const char *title;    /* one line */
    const char *question; /* what the slide says, in a sentence or two */
    const char *method;   /* setting, deviations from the source, pitfalls; several lines */
    const char *source;
    const char *cost;     /* on two cores: "1 s" */
    const rv_param_table *params;
    const char *quick;    /* "steps=200,width=16": parameters of --quick; NULL: as they are */
    int seeds, quick_seeds; /* unless the user says otherwise; 1: nothing is random */
    const rv_claim *claims; /* ends with a row whose key is NULL */
    rv_status (*run)(rv_study_run *run, const void *params, rv_error *err);
} rv_study;

RV_API const rv_study *rv_study_at(int i); /* in order of registration; NULL beyond the last */
RV_API const rv_study *rv_study_find(const char *name);
/* Claims and parameters are well formed: unique keys, a source, an interval that is not empty. */
RV_API rv_status rv_study_check(const rv_study *study, rv_error *err);

/* "at most 0.01", "0.9 to 1.1": the interval in words; returns text. */
RV_API const char *rv_claim_expected(const rv_claim *claim, char *text, size_t size);

typedef struct rv_study_options {
    const char *dir;  /* results go here; made if missing */
    const char *data; /* folder of data sets, or NULL: procedural data */
    const char *language; /* "en" or "ru", in which the page opens; NULL: "en".  Both are in it. */
    int seeds;        /* 0: the study's own number */
    bool quick;
    int threads;      /* >= 1; results do not depend on it */
    const char *const *set; /* [set_count] of "name=value" */
    int set_count;
    const volatile int *stop; /* non-zero ends the study; may be NULL */
    void (*progress)(void *context, double fraction, const char *text); /* may be NULL */
    void (*note)(void *context, const char *line);                      /* may be NULL */
    void *context;
} rv_study_options;

typedef struct rv_study_verdict {
    int held, failed, unjudged; /* claims; unjudged: not at the size of --quick */
    double seconds;
} rv_study_verdict;

/* Whether names and values of options->set are the study's: RV_E_UNKNOWN, RV_E_ARGUMENT, RV_E_RANGE; makes and
 * runs nothing. */
RV_API rv_status rv_study_options_check(const rv_study *study, const rv_study_options *options, rv_error *err);

/* Runs a study and writes DIR/study.json, DIR/index.html (self-contained), DIR/still.json (its
 * first figure, small, for the gallery) and one CSV per figure.  json (may be NULL) receives {"study","claims":[{"claim","source","expected",
 * "measured","holds",..}],"figures":[..],"seconds"}; caller frees with free(). */
RV_API rv_status rv_study_execute(const rv_study *study, const rv_study_options *options,
                                  rv_study_verdict *verdict, char **json, rv_error *err);

/* Writes DIR/index.html, a page that links DIR/NAME/index.html of every study that left results
 * there, in the order of registration, which is that of the lecture; language as above. */
RV_API rv_status rv_study_gallery(const char *dir, const char *language, rv_error *err);
/* Whether dir holds the results of several studies, and no index.html but Ravine's. */
RV_API bool rv_study_gallery_wanted(const char *dir);

#ifdef __cplusplus
}
#endif
#endif
