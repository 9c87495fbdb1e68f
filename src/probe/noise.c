/* Gradient noise: every mini-batch's gradient is computed twice, once for the mean and once
 * for its distance, so no more than one gradient is kept. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/vector.h"

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Hill 1975: 1 / mean of log(x_i / x_k) over the k largest. */
static double tail_index(double *norms, int n)
{
    int k = n / 10 > 2 ? n / 10 : 2;
    double sum = 0;
    qsort(norms, (size_t)n, sizeof *norms, descending);
    for (int i = 0; i < k; i++)
        sum += log(norms[i] / norms[k]) / k;
    return 1 / sum;
}

static double excess_kurtosis(const double *x, int n)
{
    double mean = 0, second = 0, fourth = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++) {
        double d2 = (x[i] - mean) * (x[i] - mean);
        second += d2 / n;
        fourth += d2 * d2 / n;
    }
    return fourth / (second * second) - 3;
}

static rv_status distances(const rv_probe_target *p, const void *w, const double *mean, double *g, double *norms,
                           rv_error *err)
{
    int64_t n = p->objective->layout->size;
    for (int k = 0; k < p->batches; k++) {
        rv_probe_target one = {p->objective, p->seed, p->first + (uint64_t)k, 1};
        RV_TRY(rv_probe_gradient(&one, w, g, NULL, err));
        rv_vector_add(g, -1, mean, n);
        norms[k] = rv_vector_norm(g, n);
    }
    return RV_OK;
}

rv_status rv_probe_noise(const rv_probe_target *probe, const void *w, rv_noise *noise, double *norms, rv_error *err)
{
    assert(probe->batches >= 4);
    int64_t n = probe->objective->layout->size;
    size_t count = (size_t)probe->batches;
    double *mean = rv_vector_new(probe->objective, 2, err), *own = mean ? malloc(count * sizeof *own) : NULL;
    if (!own) {
        free(mean);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its gradient noise", probe->objective->name);
    }
    rv_status status = rv_probe_gradient(probe, w, mean, NULL, err);
    if (status == RV_OK)
        status = distances(probe, w, mean, mean + n, own, err);
    if (status == RV_OK) {
        double squares = 0;
        for (size_t k = 0; k < count; k++)
            squares += own[k] * own[k];
        if (norms)
            memcpy(norms, own, count * sizeof *own);
        *noise = (rv_noise){rv_vector_norm(mean, n), squares / (double)(count - 1),
                            excess_kurtosis(own, probe->batches), tail_index(own, probe->batches)};
    }
    free(mean);
    free(own);
    return status;
}
