/* What is read off the loss along a line. */
#include <math.h>

#include "ravine/probe.h"

double rv_line_minimum(int n, const double *x, const double *f)
{
    int best = 0;
    for (int i = 0; i < n; i++)
        best = f[i] < f[best] ? i : best;
    return x[best];
}

bool rv_line_bends_down(int n, const double *x, const double *f, double reach)
{
    for (int i = 1; i < n - 1; i++)
        if (fabs(x[i]) < reach && f[i - 1] + f[i + 1] - 2 * f[i] < -2e-6 * f[i])
            return true;
    return false;
}

double rv_line_width(int n, const double *x, const double *f, double level)
{
    double ends[2];
    for (int side = 0; side < 2; side++) {
        int step = side ? 1 : -1, i = n / 2;
        while (i > 0 && i < n - 1 && f[i + step] < level)
            i += step;
        ends[side] = i == 0 || i == n - 1 ? x[i] : x[i] + (x[i + step] - x[i]) * (level - f[i]) / (f[i + step] - f[i]);
    }
    return ends[1] - ends[0];
}
