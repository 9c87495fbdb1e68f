/* What tells memorising from understanding in trials on tables of modular arithmetic. */
#ifndef RV_STUDIES_MODULAR_H
#define RV_STUDIES_MODULAR_H

#include "studies/trials.h"

typedef enum rv_measure {
    RV_TRAIN_ACCURACY,
    RV_VALIDATION_ACCURACY,
    RV_TRAIN_LOSS,
    RV_WEIGHT_NORM,    /* of all weights */
    RV_ADDITIVE,       /* concentration of the left operand's embedding (studies/concentration.h) */
    RV_MULTIPLICATIVE,
    RV_MEASURES
} rv_measure;

/* Makes a trial measure all of the above: its workload is modular-division or modular-perceptron. */
void rv_modular_prepare(rv_study_trial *t);

/* [count], one value for every entry of t->step. */
const double *rv_modular_curve(const rv_study_trial *t, rv_measure what);
/* The first evaluated step at which a value is at least `level`, or NaN. */
double rv_modular_reached(const rv_study_trial *t, rv_measure what, double level);
/* The value at the last evaluation up to a step; NaN: there is none, or step is NaN. */
double rv_modular_at(const rv_study_trial *t, rv_measure what, double step);

#endif
