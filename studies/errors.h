/* Gradient errors |g_b - g| as the literature shows them: a histogram and a plot of quantiles against the
 * normal distribution's, on which normal data is a straight line and a heavy right tail bends up. */
#ifndef RV_STUDIES_ERRORS_H
#define RV_STUDIES_ERRORS_H

#include "report/figure.h"

/* x with P(N(0, 1) < x) = p, for 0 < p < 1; fourteen digits. */
double rv_normal_quantile(double p);
/* Hill's tail index (Hill 1975, largest tenth) of the norms less their median.  Of the norms themselves it depends on
 * how far they are from zero: with a small spread around a large mean even a heavy tail has a large index. */
double rv_errors_tail(const double *norms, int n);
/* One series: the density of norms [n] over their median, in 40 bins from the smallest to the largest. */
void rv_errors_histogram(rv_figure *figure, const char *name, const double *norms, int n);
/* One series: the quantiles of the standardised norms, every one of the largest, of the others about 200. */
void rv_errors_quantiles(rv_figure *figure, const char *name, const double *norms, int n);
/* The straight line of the normal distribution, from -reach to reach. */
void rv_errors_normal(rv_figure *figure, double reach);

#endif
