/* The part of the study of sharpness that sets SAM against SGD. */
#ifndef RV_STUDIES_SAM_H
#define RV_STUDIES_SAM_H

#include "studies/digits.h"

/* Trains the network of spec with SGD, with and without SAM, at every rate of a grid, and measures the claims
 * "sam_flatter", "sam_trace", "sam_same_rate" and "sam_accuracy" of the run.  full: the objective whose
 * mini-batch is all images.  from, to: its share of the progress. */
rv_status rv_study_sam(rv_study_run *run, const rv_digits *spec, rv_objective *full, int64_t steps, double rho,
                       double from, double to, rv_error *err);

#endif
