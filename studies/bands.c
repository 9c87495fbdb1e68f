/* Geometric means, since the errors of a double descent differ by orders of magnitude. */
#include "studies/bands.h"

#include <assert.h>
#include <math.h>

enum { MOST = 512 };

int rv_extreme(const double *x, int from, int to, bool largest)
{
    int best = from;
    for (int i = from; i <= to; i++)
        if (largest ? x[i] > x[best] : x[i] < x[best])
            best = i;
    return best;
}

int rv_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void rv_seed_band(rv_figure *figure, const char *name, int seeds, int n, int stride, const double *x, const double *values)
{
    double mean[MOST], low[MOST], high[MOST];
    assert(n <= MOST);
    for (int i = 0; i < n; i++) {
        mean[i] = 0;
        low[i] = HUGE_VAL;
        high[i] = 0;
        for (int s = 0; s < seeds; s++) {
            double v = values[s * stride + i];
            v = isnan(v) ? v : fmax(v, 1e-30);
            mean[i] += log(v) / seeds;
            low[i] = fmin(low[i], v);
            high[i] = fmax(high[i], v);
        }
        mean[i] = exp(mean[i]);
        if (isnan(mean[i])) /* a seed is missing: a gap */
            low[i] = high[i] = NAN;
    }
    rv_figure_band(figure, name, n, x, mean, low, high);
}
