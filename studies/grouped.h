/* Classifiers whose classes are sorted into groups by frequency: the loss of every group along a
 * descent, and a contest of optimizers that each have their own sweep of learning rates. */
#ifndef RV_STUDIES_GROUPED_H
#define RV_STUDIES_GROUPED_H

#include "ravine/data.h"
#include "studies/descend.h"

enum { RV_GROUPS = 12, RV_RECORDS = 48, RV_RATES = 8, RV_CONTESTANTS = 2 };

/* ---- one problem ----------------------------------------------------------------------- */

typedef struct rv_grouped {
    rv_source *source;   /* the label is its last input; owned */
    int32_t *group;      /* [source->classes], group 0 is the most frequent; owned */
    int groups;          /* at most RV_GROUPS */
    int64_t batch;       /* of a step; the whole training set: full batch */
    int64_t sample;      /* training examples, evenly spaced, behind the losses of the groups; 0: all */
    void (*build)(rv_graph *graph, const rv_value *inputs, const void *params); /* as rv_network */
    const void *params;
} rv_grouped;
void rv_grouped_release(rv_grouped *problem);

/* What one descent left behind. */
typedef struct rv_course {
    int64_t steps;                        /* asked for */
    int records;
    double step[RV_RECORDS], loss[RV_RECORDS]; /* training loss on the sample */
    double group[RV_GROUPS][RV_RECORDS];  /* and of its examples of each group; NaN: there are none */
    double peak;                          /* highest loss of a step / that of the first */
    bool steady;                          /* ran to its end and never stood above its first loss */
} rv_course;

/* A loss of a step may stand so much above the first before the descent counts as unsteady: a
 * mini-batch's own noise. */
#define RV_STEADY 1.01

double rv_course_end(const rv_course *course);                /* last training loss; infinite after a divergence */
double rv_course_end_of(const rv_course *course, int group);  /* of a group */

/* ---- one descent ----------------------------------------------------------------------- */

/* The problem made ready to be trained; float32. */
typedef struct rv_grouped_net rv_grouped_net;
rv_status rv_grouped_net_new(rv_grouped_net **out, const rv_study_run *run, const rv_grouped *problem, rv_error *err);
void rv_grouped_net_free(rv_grouped_net *net);

/* Mean loss at w [layout size] of the sample and of each group (NaN: no example); group [RV_GROUPS] may be NULL. */
rv_status rv_grouped_losses(rv_grouped_net *net, const void *w, double *loss, double *group, rv_error *err);
/* The vector of a network: what rv_grouped_losses wants. */
const rv_objective *rv_grouped_objective(const rv_grouped_net *net);

/* One descent from the start that seed draws.  guarded: ends as soon as it is not steady. */
rv_status rv_grouped_descend(rv_grouped_net *net, const char *method, const char *params, uint64_t seed, int64_t steps,
                             bool guarded, rv_course *course, rv_error *err);

/* ---- the contest ------------------------------------------------------------------------ */

typedef struct rv_contestant {
    const char *name, *method, *fixed; /* "SGD", "sgd", "momentum=0.9" */
    int rates;                         /* at most RV_RATES learning rates, ... */
    double first;                      /* ... 10^first, 10^(first + 1/2), 10^(first + 1), ... */
} rv_contestant;

typedef struct rv_contest {
    const char *name;                  /* of its figures; short, plain */
    const char *title;                 /* what the problem is, for people */
    const char *groups_axis;           /* "frequency group, 1 is the most frequent" */
    rv_contestant who[RV_CONTESTANTS];
    int64_t steps;
    int swept;                         /* seeds that the sweep sees; the others run at its best rate */
    /* Makes the problem of a seed; what is left in *problem is released also after a failure. */
    rv_status (*make)(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err);
    const void *context;
    double from, to;                   /* share of the study's progress */
} rv_contest;

typedef struct rv_contest_result {
    int groups;
    int best[RV_CONTESTANTS];          /* rate with the lowest mean loss at the end among those where every swept seed is
                                          steady; -1: none is */
    rv_course *courses;                /* [RV_CONTESTANTS][RV_RATES][seeds] */
    int seeds;
} rv_contest_result;

double rv_contest_rate(const rv_contestant *who, int rate);
const rv_course *rv_contest_course(const rv_contest_result *result, int who, int rate, int seed);
/* At the best rate; NULL: it has none. */
const rv_course *rv_contest_best(const rv_contest_result *result, int who, int seed);
/* Runs it, draws "NAME-rates", "NAME-<method>" and "NAME-groups", and notes best rates and what the sweep left out.
 * Release also after a failure. */
rv_status rv_contest_hold(rv_study_run *run, const rv_contest *contest, rv_contest_result *result, rv_error *err);
void rv_contest_release(rv_contest_result *result);

#endif
