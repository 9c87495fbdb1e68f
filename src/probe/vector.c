/* The small linear algebra of probes. */
#include "probe/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double rv_vector_at(const void *w, rv_dtype dtype, int64_t i)
{
    return dtype == RV_F64 ? ((const double *)w)[i] : (double)((const float *)w)[i];
}

void rv_vector_set(void *w, rv_dtype dtype, int64_t i, double value)
{
    if (dtype == RV_F64)
        ((double *)w)[i] = value;
    else
        ((float *)w)[i] = (float)value;
}

void rv_vector_move(void *to, const void *w, rv_dtype dtype, double a, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        rv_vector_set(to, dtype, i, rv_vector_at(w, dtype, i) + (x ? a * x[i] : 0));
}

double rv_vector_dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

double rv_vector_norm(const double *a, int64_t n)
{
    return sqrt(rv_vector_dot(a, a, n));
}

void rv_vector_scale(double *a, double factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        a[i] *= factor;
}

void rv_vector_add(double *y, double a, const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

double *rv_vector_new(const rv_objective *objective, int64_t count, rv_error *err)
{
    double *vectors = calloc((size_t)count * (size_t)objective->layout->size, sizeof *vectors);
    if (!vectors)
        rv_fail(err, RV_E_MEMORY, "%s: no memory for %lld vectors of %lld numbers", objective->name,
                (long long)count, (long long)objective->layout->size);
    return vectors;
}

void *rv_weights_new(const rv_objective *objective, rv_error *err)
{
    void *w = calloc((size_t)objective->layout->size, rv_dtype_size(objective->dtype));
    if (!w)
        rv_fail(err, RV_E_MEMORY, "%s: no memory for its weights", objective->name);
    return w;
}

rv_status rv_statistics_save(const rv_objective *objective, void **copy, rv_error *err)
{
    size_t bytes = (size_t)objective->state_size * rv_dtype_size(objective->dtype);
    *copy = NULL;
    if (bytes == 0)
        return RV_OK;
    *copy = malloc(bytes);
    if (!*copy)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its statistics", objective->name);
    memcpy(*copy, objective->state, bytes);
    return RV_OK;
}

void rv_statistics_restore(rv_objective *objective, void *copy)
{
    if (copy)
        memcpy(objective->state, copy, (size_t)objective->state_size * rv_dtype_size(objective->dtype));
    free(copy);
}
