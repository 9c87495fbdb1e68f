/* Principal components of points far fewer than their dimensions: the eigenvectors of the
 * Gram matrix of the centred points (the singular vectors of their matrix).  Centring comes
 * before any product, in blocks of coordinates, so that a short trajectory far from zero
 * loses no digits and no copy of the points is made. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"
#include "ravine/landscape.h"

enum { BLOCK = 2048 };

/* Fortran: eigenvalues, ascending, and eigenvectors (columns) of a symmetric matrix. */
extern void dsyev_(const char *job, const char *triangle, const int *n, double *a, const int *lda, double *w, double *work,
                   const int *lwork, int *info, size_t job_length, size_t triangle_length);

typedef struct components {
    const rv_objective *objective;
    const void *const *points;
    int count;
    double *gram;   /* [count][count], then the eigenvectors, one after another */
    double *values; /* [count] */
    double *work;   /* [8 * count] */
    double *block;  /* [count][BLOCK] */
} components;

/* Coordinates first .. first + length - 1 of all points, about their means. */
static void centre(const components *c, int64_t first, int64_t length)
{
    for (int64_t k = 0; k < length; k++) {
        double mean = 0;
        for (int i = 0; i < c->count; i++)
            mean += rv_vector_at(c->points[i], c->objective->dtype, first + k) / c->count;
        for (int i = 0; i < c->count; i++)
            c->block[i * BLOCK + k] = rv_vector_at(c->points[i], c->objective->dtype, first + k) - mean;
    }
}

static rv_status decompose(components *c, rv_error *err)
{
    int64_t n = c->objective->layout->size;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t length = n - first < BLOCK ? n - first : BLOCK;
        centre(c, first, length);
        for (int i = 0; i < c->count; i++)
            for (int j = 0; j <= i; j++)
                c->gram[j * c->count + i] += rv_vector_dot(c->block + i * BLOCK, c->block + j * BLOCK, length);
    }
    int size = c->count, lwork = 8 * size, info = 0; /* row j, column i is Fortran's lower triangle */
    dsyev_("V", "L", &size, c->gram, &size, c->values, c->work, &lwork, &info, 1, 1);
    if (info != 0)
        return rv_fail(err, RV_E_NUMERIC, "%s: no principal components of %d points (dsyev %d)", c->objective->name, size, info);
    return RV_OK;
}

/* Component k from the largest: share of the variance and direction. */
static void take(const components *c, int k, double *direction, double *share)
{
    int at = c->count - 1 - k;
    int64_t n = c->objective->layout->size;
    double total = 0, value = fmax(c->values[at], 0);
    for (int i = 0; i < c->count; i++)
        total += fmax(c->values[i], 0);
    bool present = value > 1e-13 * c->values[c->count - 1];
    *share = present ? value / total : 0;
    const double *z = c->gram + (size_t)at * (size_t)c->count;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t length = n - first < BLOCK ? n - first : BLOCK;
        for (int64_t i = first; i < first + length; i++)
            direction[i] = 0;
        centre(c, first, length);
        for (int i = 0; present && i < c->count; i++)
            rv_vector_add(direction + first, z[i], c->block + i * BLOCK, length);
    }
    if (present) /* points[0] has the coordinate z[0] sqrt(value) */
        rv_vector_scale(direction, (z[0] < 0 ? -1 : 1) / rv_vector_norm(direction, n), n);
}

rv_status rv_pca(const rv_objective *objective, const void *const *points, int count, int wanted, double *directions,
                 double *shares, rv_error *err)
{
    assert(count >= 2 && wanted >= 1 && wanted <= count);
    size_t size = (size_t)count;
    components c = {.objective = objective, .points = points, .count = count};
    c.gram = calloc(size * size + 9 * size + size * BLOCK, sizeof *c.gram);
    if (!c.gram)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for the components of %d points", objective->name, count);
    c.values = c.gram + size * size;
    c.work = c.values + size;
    c.block = c.work + 8 * size;
    rv_status status = decompose(&c, err);
    for (int k = 0; k < wanted && status == RV_OK; k++)
        take(&c, k, directions + k * objective->layout->size, &shares[k]);
    free(c.gram);
    return status;
}
