/* Medians, best settings and profile scores.  A faster time never lowers a score. */
#include "bench/score.h"

#include <math.h>
#include <stdlib.h>

static const double tau_max = 4;

const char *rv_time_unit_name(int unit)
{
    static const char *const names[RV_TIME_UNITS] = {"examples", "seconds", "steps"};
    return names[unit];
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rv_score_median(double *values, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(values[i]))
            values[kept++] = values[i];
    if (kept == 0)
        return NAN;
    qsort(values, (size_t)kept, sizeof *values, compare_doubles);
    double upper = values[kept / 2];
    if (kept % 2 == 1)
        return upper;
    double lower = values[kept / 2 - 1];
    return lower == upper ? lower : lower + (upper - lower) / 2; /* inf - inf is not reached */
}

rv_score_point rv_score_summary(const rv_score_run *runs, int n, double *scratch)
{
    rv_score_point point = {.metric = NAN};
    for (int i = 0; i < n; i++) {
        point.n += !isnan(runs[i].time[RV_TIME_EXAMPLES]);
        point.reached += isfinite(runs[i].time[RV_TIME_EXAMPLES]) != 0;
    }
    for (int unit = 0; unit < RV_TIME_UNITS; unit++) {
        for (int i = 0; i < n; i++)
            scratch[i] = runs[i].time[unit];
        point.time[unit] = rv_score_median(scratch, n);
    }
    for (int i = 0; i < n; i++)
        scratch[i] = runs[i].metric;
    point.metric = rv_score_median(scratch, n);
    return point;
}

static bool metric_better(double a, double b, bool maximize)
{
    if (isnan(a) || isnan(b))
        return !isnan(a) && isnan(b);
    return maximize ? a > b : a < b;
}

int rv_score_best(const rv_score_point *points, int n, bool maximize)
{
    int best = -1;
    for (int i = 0; i < n; i++) {
        double time = points[i].time[RV_TIME_EXAMPLES];
        if (points[i].n == 0 || isnan(time))
            continue;
        double best_time = best < 0 ? INFINITY : points[best].time[RV_TIME_EXAMPLES];
        if (best < 0 || time < best_time ||
            (time == best_time && metric_better(points[i].metric, points[best].metric, maximize)))
            best = i;
    }
    return best;
}

void rv_score_profile(const double *times, int problems, int optimizers, double *score)
{
    for (int o = 0; o < optimizers; o++)
        score[o] = 0;
    for (int p = 0; p < problems; p++) {
        const double *row = times + (size_t)p * (size_t)optimizers;
        double best = INFINITY;
        for (int o = 0; o < optimizers; o++)
            if (row[o] < best)
                best = row[o];
        for (int o = 0; o < optimizers; o++) {
            if (!isfinite(row[o]))
                continue;
            /* A time of zero is the best there is; 0/0 counts as a ratio of one. */
            double ratio = row[o] == best ? 1 : row[o] / best;
            if (ratio < tau_max)
                score[o] += (tau_max - ratio) / (tau_max - 1) / problems;
        }
    }
}

void rv_score_rank(const double *score, int n, int *rank)
{
    for (int i = 0; i < n; i++) {
        rank[i] = 1;
        for (int k = 0; k < n; k++)
            rank[i] += score[k] > score[i];
    }
}
