/* Scores of a benchmark: medians over seeds, the best setting of each optimizer on each
 * problem, and performance profiles.  Times are any unit; INFINITY is a missed target,
 * NaN a trial that was not run yet. */
#ifndef RV_BENCH_SCORE_H
#define RV_BENCH_SCORE_H

#include "ravine/core.h"

typedef enum rv_time_unit { RV_TIME_EXAMPLES, RV_TIME_SECONDS, RV_TIME_STEPS, RV_TIME_UNITS } rv_time_unit;
const char *rv_time_unit_name(int unit); /* "examples", "seconds", "steps" */

/* One trial as the score sees it. */
typedef struct rv_score_run {
    double time[RV_TIME_UNITS]; /* to the target */
    double metric;              /* best value on the validation split */
} rv_score_run;

/* A setting of an optimizer on a problem over its n seeds. */
typedef struct rv_score_point {
    int n, reached;
    double time[RV_TIME_UNITS]; /* medians; INFINITY when half of the seeds or more missed */
    double metric;              /* median of the best values */
} rv_score_point;

/* The median; values is sorted in place, NaN are left out; NaN when none is left. */
double rv_score_median(double *values, int n);

/* Medians over runs [n]; runs with NaN times are left out.  scratch [n]. */
rv_score_point rv_score_summary(const rv_score_run *runs, int n, double *scratch);

/* The setting with the smallest median of examples to the target; among equals (all
 * missed, say) the one with the best metric, then the first.  -1: none was run. */
int rv_score_best(const rv_score_point *points, int n, bool maximize);

/* times [problems][optimizers]; score [optimizers].  With r the ratio of a time to the
 * best time on that problem, rho(tau) is the share of problems with r <= tau, and the
 * score is its mean over tau in [1, 4]: (1/problems) sum max(0, (4 - r) / 3)
 * (Dahl et al. 2023, "Benchmarking neural network training algorithms", section 4). */
void rv_score_profile(const double *times, int problems, int optimizers, double *score);

/* rank [n]: 1 + the number of scores that are higher; equal scores share a rank. */
void rv_score_rank(const double *score, int n, int *rank);

#endif
