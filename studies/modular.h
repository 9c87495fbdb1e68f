/* Trials on tables of modular arithmetic, and the curves that tell memorising from understanding. */
#ifndef RV_STUDIES_MODULAR_H
#define RV_STUDIES_MODULAR_H

#include "ravine/trial.h"
#include "studies/study.h"

typedef enum rv_measure {
    RV_TRAIN_ACCURACY,
    RV_VALIDATION_ACCURACY,
    RV_TRAIN_LOSS,
    RV_WEIGHT_NORM,    /* of all weights */
    RV_ADDITIVE,       /* concentration of the left operand's embedding (studies/concentration.h) */
    RV_MULTIPLICATIVE,
    RV_MEASURES
} rv_measure;

/* A trial and what its log says, evaluation by evaluation. */
typedef struct rv_modular_run {
    char config[1024]; /* partial, JSON: workload modular-division or modular-perceptron */
    int64_t pause;     /* as rv_trial_options has it */
    int64_t expected;  /* steps, for the progress */
    /* out */
    int n;
    double *step;              /* [n] */
    double *value[RV_MEASURES]; /* [n] each, behind step */
    double seconds;            /* of training, one thread */
    int64_t steps;             /* made so far */
    bool over;                 /* false: paused or stopped; it can go on */
} rv_modular_run;

/* Runs, resumes or only reads all of them, side by side on the study's workers, in DIR/trials, and fills their
 * curves, to be released also after a failure.  RV_E_INTERRUPTED: the user stopped; every trial keeps its
 * checkpoint. */
rv_status rv_modular_run_all(rv_study_run *run, rv_modular_run *runs, int count, rv_error *err);
/* One more session of a single run on all workers.  When the user stops it, that is how far it is: RV_OK. */
rv_status rv_modular_go_on(rv_study_run *run, rv_modular_run *r, rv_error *err);
void rv_modular_release(rv_modular_run *r);

/* The first evaluated step at which a value is at least `level`, or NaN. */
double rv_modular_reached(const rv_modular_run *r, rv_measure what, double level);
/* The value at the last evaluation up to a step; NaN: there is none, or step is NaN. */
double rv_modular_at(const rv_modular_run *r, rv_measure what, double step);

#endif
