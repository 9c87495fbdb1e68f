/* Least squares of least norm through LAPACK: by singular values, or by an orthogonal factorisation. */
#ifndef RV_STUDIES_LEAST_NORM_H
#define RV_STUDIES_LEAST_NORM_H

#include "ravine/core.h"

/* x = pinv(a) b: a [m, n] and b [m, k] are column-major and kept; x [n, k] column-major.  Singular
 * values below rcond times the largest count as zero.  rcond < 0: a has full
 * rank, which a QR or LQ factorisation takes for granted at a tenth of the cost.  RV_E_MEMORY, RV_E_NUMERIC. */
rv_status rv_least_norm(int m, int n, int k, const double *a, const double *b, double rcond, double *x, rv_error *err);

#endif
