/* Fourier powers by the definition: the tables have a hundred rows. */
#include "studies/concentration.h"

#include <math.h>
#include <stdlib.h>

/* The row that stands at each place of the group. */
static void arrange(int p, rv_group group, int *row)
{
    if (group == RV_GROUP_ADDITIVE) {
        for (int i = 0; i < p; i++)
            row[i] = i;
        return;
    }
    for (int root = 2, order = 0; order < p - 1; root++) {
        int64_t power = 1;
        order = 0;
        do {
            row[order++] = (int)power;
            power = power * root % p;
        } while (power != 1 && order < p - 1);
    }
}

static double element(const void *table, rv_dtype dtype, int64_t i)
{
    return dtype == RV_F64 ? ((const double *)table)[i] : (double)((const float *)table)[i];
}

/* |sum_i e^(-2 pi i k / n) row_i|^2, summed over the columns. */
static double power_at(const void *table, rv_dtype dtype, int64_t width, int n, int k, const int *row, const double *wave)
{
    double sum = 0;
    for (int64_t j = 0; j < width; j++) {
        double re = 0, im = 0;
        for (int i = 0; i < n; i++) {
            const double x = element(table, dtype, row[i] * width + j);
            const int at = (int)((int64_t)i * k % n);
            re += x * wave[2 * at];
            im += x * wave[2 * at + 1];
        }
        sum += re * re + im * im;
    }
    return sum;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* sum_i (2 i - n - 1) x_i / (n sum x) over ascending x_1 .. x_n. */
static double gini_of(double *x, int n)
{
    double sum = 0, weighted = 0;
    qsort(x, (size_t)n, sizeof *x, compare);
    for (int i = 0; i < n; i++) {
        sum += x[i];
        weighted += (2 * i + 1 - n) * x[i];
    }
    return sum > 0 ? weighted / (n * sum) : NAN;
}

rv_status rv_concentration(const void *table, rv_dtype dtype, int p, int64_t width, rv_group group, double *gini,
                           rv_error *err)
{
    const int n = group == RV_GROUP_ADDITIVE ? p : p - 1, count = n / 2;
    double *power = malloc(((size_t)count + 2 * (size_t)n) * sizeof *power);
    int *row = malloc((size_t)p * sizeof *row);
    if (!power || !row) {
        free(power);
        free(row);
        return rv_fail(err, RV_E_MEMORY, "no memory for the spectrum of %d rows", p);
    }
    double *wave = power + count;
    arrange(p, group, row);
    for (int i = 0; i < n; i++) {
        wave[2 * i] = cos(4 * acos(0) * i / n);
        wave[2 * i + 1] = sin(4 * acos(0) * i / n);
    }
    for (int k = 1; k <= count; k++)
        power[k - 1] = power_at(table, dtype, width, n, k, row, wave);
    *gini = gini_of(power, count);
    free(power);
    free(row);
    return RV_OK;
}
