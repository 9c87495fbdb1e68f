/* Both figures are made of the sorted norms. */
#include "studies/errors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "studies/bands.h"

enum { BINS = 40, EVERY_ONE = 60, OTHERS = 200 };

/* Newton's method on the logarithm of the smaller tail, which is concave: it converges from everywhere. */
double rv_normal_quantile(double p)
{
    double tail = p < 0.5 ? p : 1 - p, x = 0;
    for (int k = 0; k < 60; k++) {
        double mass = erfc(-x / sqrt(2)) / 2, density = exp(-x * x / 2) / sqrt(8 * atan(1));
        double step = (log(mass) - log(tail)) * mass / density;
        x -= step;
        if (fabs(step) < 1e-15 * (1 + fabs(x)))
            break;
    }
    return p < 0.5 ? x : -x;
}

static double *sorted(const double *norms, int n)
{
    double *x = n > 1 ? malloc((size_t)n * sizeof *x) : NULL;
    if (x) {
        memcpy(x, norms, (size_t)n * sizeof *x);
        qsort(x, (size_t)n, sizeof *x, rv_ascending);
    }
    return x;
}

double rv_errors_tail(const double *norms, int n)
{
    double sum = 0, *x = sorted(norms, n);
    if (!x)
        return NAN;
    int k = n / 10 > 2 ? n / 10 : 2;
    for (int i = n - k; i < n; i++)
        sum += log((x[i] - x[n / 2]) / (x[n - k - 1] - x[n / 2])) / k;
    free(x);
    return 1 / sum;
}

void rv_errors_histogram(rv_figure *figure, const char *name, const double *norms, int n)
{
    double middle[BINS], density[BINS] = {0}, *x = sorted(norms, n);
    if (!x || !(x[n - 1] > x[0]) || !(x[n / 2] > 0)) { /* there is nothing to show */
        free(x);
        return;
    }
    double median = x[n / 2], low = x[0] / median, width = (x[n - 1] / median - low) / BINS;
    for (int i = 0; i < n; i++) {
        int bin = (int)((x[i] / median - low) / width);
        density[bin < BINS ? bin : BINS - 1] += 1 / (n * width);
    }
    int filled = 0; /* a logarithmic axis has no place for empty bins */
    for (int b = 0; b < BINS; b++)
        if (density[b] > 0) {
            middle[filled] = low + (b + 0.5) * width;
            density[filled++] = density[b];
        }
    rv_figure_series(figure, name, RV_SERIES_LINE, filled, middle, density);
    free(x);
}

void rv_errors_quantiles(rv_figure *figure, const char *name, const double *norms, int n)
{
    double normal[EVERY_ONE + OTHERS + 1], found[EVERY_ONE + OTHERS + 1], mean = 0, squares = 0, *x = sorted(norms, n);
    if (!x)
        return;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean) / n;
    int stride = 1 + n / OTHERS, count = 0;
    for (int i = 0; i < n; i += i < n - EVERY_ONE ? stride : 1) {
        normal[count] = rv_normal_quantile((i + 0.5) / n);
        found[count++] = (x[i] - mean) / sqrt(squares);
    }
    rv_figure_series(figure, name, RV_SERIES_POINTS, count, normal, found);
    free(x);
}

void rv_errors_normal(rv_figure *figure, double reach)
{
    double x[2] = {-reach, reach};
    rv_figure_series(figure, "normal", RV_SERIES_LINE, 2, x, x);
}
