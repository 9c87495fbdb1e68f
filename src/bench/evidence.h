/* Evaluations of many runs by method and step, for tests of "reached the target". */
#ifndef RV_BENCH_EVIDENCE_H
#define RV_BENCH_EVIDENCE_H

#include "ravine/score.h"

/* One method: the steps at which all its seeds were evaluated.  Values are losses; where larger
 * is better they are negated. */
typedef struct rv_method_steps {
    const char *submission, *workload, *setting;
    int seeds, count;
    double *step, *mean; /* [count], steps rising */
    double variance;     /* over the seeds at the last of them; NAN for a single seed */
} rv_method_steps;

/* (target - mean) sqrt(n) and the same for two methods, losses in units of one run's spread:
 * (mean_b - mean_a + (step_b - step_a) loss_per_step) / sqrt(1/n_a + 1/n_b). */
double rv_evidence_reached(double target, double mean, int seeds);
double rv_evidence_better(double mean_a, double step_a, int seeds_a, double mean_b, double step_b, int seeds_b,
                          double loss_per_step);
/* P(Z >= z) of a standard normal. */
double rv_evidence_p(double z);

#endif
