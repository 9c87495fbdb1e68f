/* Small things to do with a row of numbers per seed. */
#ifndef RV_STUDIES_BANDS_H
#define RV_STUDIES_BANDS_H

#include "report/figure.h"

/* Index of the largest or smallest of x[from ... to]. */
int rv_extreme(const double *x, int from, int to, bool largest);
/* For qsort of doubles. */
int rv_ascending(const void *a, const void *b);
/* A line through the geometric means of positive values over seeds, in a band that holds them all; a gap where
 * one is NaN.
 * values: seed s, point i at s * stride + i; x [n], n <= 512. */
void rv_seed_band(rv_figure *figure, const char *name, int seeds, int n, int stride, const double *x, const double *values);

#endif
