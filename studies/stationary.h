/* Least squares in two parameters as an exact quadratic, and how far from its minimum SGD with a constant step stays. */
#ifndef RV_STUDIES_STATIONARY_H
#define RV_STUDIES_STATIONARY_H

#include "ravine/objective.h"
#include "studies/study.h"

enum { RV_QUADRATIC_DIM = 2, RV_QUADRATIC_VECTOR = 16 }; /* parameters; doubles of a vector, with its padding */

/* f(w) = minimum + (w - best)' H (w - best) / 2. */
typedef struct rv_quadratic {
    rv_objective *o; /* of one batch size; the caller frees, also after a failure */
    double hessian[RV_QUADRATIC_DIM * RV_QUADRATIC_DIM], best[RV_QUADRATIC_VECTOR], minimum;
} rv_quadratic;

/* Workload linear-regression with this noise on its targets; H and the minimum are those of all points. */
rv_status rv_quadratic_open(rv_study_run *run, int batch, double noise, rv_quadratic *q, rv_error *err);
/* f - f* without the cancellation of subtracting two values. */
double rv_quadratic_excess(const rv_quadratic *q, const double *w);

/* E[H_b (x) H_b] as it acts on a symmetric S = (s0, s1; s1, s2), E[H_b], and Cov(g_b at the minimum). */
typedef struct rv_moments {
    double second[3][3], mean[3], noise[3];
} rv_moments;
/* From `samples` mini-batches of the objective's size. */
rv_status rv_moments_sample(const rv_quadratic *q, int64_t samples, rv_moments *m, rv_error *err);

/* The stationary mean of f - f*, tr(H S) / 2, with S = E[(I - lr H_b) S (I - lr H_b)] + lr^2 Cov(g_b), by iterating
 * the equation; infinite past the limit. */
double rv_stationary_excess(const rv_quadratic *q, const rv_moments *m, double lr);
/* The learning rate at which the equation loses its solution. */
double rv_stationary_limit(const rv_quadratic *q, const rv_moments *m);

#endif
