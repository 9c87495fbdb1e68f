/* Lanczos with full reorthogonalisation (twice, which is enough), and spectral densities by
 * quadrature: Golub, Welsch 1969; Ghorbani, Krishnan, Xiao 2019, algorithm 1. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"
#include "ravine/landscape.h"

/* Fortran: eigenvalues and eigenvectors (columns of z) of a symmetric tridiagonal matrix. */
extern void dstev_(const char *job, const int *n, double *d, double *e, double *z, const int *ldz, double *work,
                   int *info, size_t job_length);

typedef struct recurrence {
    double *basis;          /* [steps + 1][n] */
    double *diagonal, *off; /* [steps] */
    double *vectors;        /* [steps][steps] of the tridiagonal matrix */
    double *work;           /* [2 * steps] */
    int made;
} recurrence;

static void release(recurrence *r)
{
    free(r->basis);
    free(r->diagonal);
}

static rv_status reserve(recurrence *r, const rv_objective *o, int steps, rv_error *err)
{
    size_t s = (size_t)steps;
    *r = (recurrence){.basis = rv_vector_new(o, steps + 1, err)};
    r->diagonal = r->basis ? calloc(2 * s + s * s + 2 * s, sizeof(double)) : NULL;
    if (!r->diagonal)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %d steps of Lanczos", o->name, steps);
    r->off = r->diagonal + s;
    r->vectors = r->off + s;
    r->work = r->vectors + s * s;
    return RV_OK;
}

/* One step: v[k + 1] from H v[k]; off[k] is its norm before scaling, 0 when the space is exhausted. */
static rv_status extend(recurrence *r, const rv_probe_target *p, const void *w, int k, rv_error *err)
{
    int64_t n = p->objective->layout->size;
    double *v = r->basis + k * n, *next = v + n;
    RV_TRY(rv_probe_hessian_vector(p, w, v, next, err));
    double size = rv_vector_norm(next, n);
    r->diagonal[k] = rv_vector_dot(v, next, n);
    for (int pass = 0; pass < 2; pass++)
        for (int j = 0; j <= k; j++)
            rv_vector_add(next, -rv_vector_dot(next, r->basis + j * n, n), r->basis + j * n, n);
    r->off[k] = rv_vector_norm(next, n);
    if (r->off[k] <= 1e-10 * size)
        r->off[k] = 0;
    else
        rv_vector_scale(next, 1 / r->off[k], n);
    r->made = k + 1;
    return RV_OK;
}

/* The eigenvalues into diagonal, ascending, and their vectors; last <- the norm that ends the recurrence. */
static rv_status solve(recurrence *r, double *last, rv_error *err)
{
    int n = r->made, info = 0;
    *last = r->off[n - 1];
    dstev_("V", &n, r->diagonal, r->off, r->vectors, &n, r->work, &info, 1);
    if (info != 0)
        return rv_fail(err, RV_E_NUMERIC, "Lanczos: the tridiagonal matrix has no eigenvalues (dstev %d)", info);
    return RV_OK;
}

/* Reserves and runs; release the recurrence also after a failure. */
static rv_status iterate(recurrence *r, const rv_probe_target *probe, const void *w, uint64_t seed, uint64_t index,
                         int steps, rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    assert(steps >= 1);
    RV_TRY(reserve(r, probe->objective, steps, err));
    rv_direction_draw(probe->objective, w, RV_DIRECTION_GAUSSIAN, seed, index, r->basis);
    rv_vector_scale(r->basis, 1 / rv_vector_norm(r->basis, n), n);
    for (int k = 0; k < steps && (k == 0 || r->off[k - 1] > 0); k++)
        RV_TRY(extend(r, probe, w, k, err));
    return RV_OK;
}

rv_status rv_probe_lanczos(const rv_probe_target *probe, const void *w, uint64_t seed, uint64_t index, int steps,
                           rv_ritz *ritz, int *made, rv_error *err)
{
    recurrence r;
    double last = 0;
    rv_status status = iterate(&r, probe, w, seed, index, steps, err);
    if (status == RV_OK)
        status = solve(&r, &last, err);
    for (int k = 0; k < r.made && status == RV_OK; k++) {
        const double *z = r.vectors + (size_t)k * (size_t)r.made;
        ritz[k] = (rv_ritz){r.diagonal[k], z[0] * z[0], fabs(last * z[r.made - 1])};
    }
    *made = r.made;
    release(&r);
    return status;
}

/* vector <- the Ritz vector number k, of length 1.  The basis' last row, of no use any more, receives H vector for
 * the residual: the recurrence's own bound trusts that the products come from one symmetric matrix. */
static rv_status ritz_pair(recurrence *r, const rv_probe_target *probe, const void *w, int k, rv_eigen *pair, double *vector,
                           rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    const double *z = r->vectors + (size_t)k * (size_t)r->made;
    for (int64_t i = 0; i < n; i++)
        vector[i] = 0;
    for (int j = 0; j < r->made; j++)
        rv_vector_add(vector, z[j], r->basis + j * n, n);
    rv_vector_scale(vector, 1 / rv_vector_norm(vector, n), n);
    double *product = r->basis + r->made * n;
    RV_TRY(rv_probe_hessian_vector(probe, w, vector, product, err));
    rv_vector_add(product, -r->diagonal[k], vector, n);
    *pair = (rv_eigen){r->diagonal[k], rv_vector_norm(product, n), r->made + 1};
    return RV_OK;
}

rv_status rv_probe_eigenvectors(const rv_probe_target *probe, const void *w, uint64_t seed, int steps, int top, int bottom,
                                rv_eigen *pairs, double *vectors, rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    recurrence r;
    double last = 0;
    rv_status status = iterate(&r, probe, w, seed, 0, steps, err);
    if (status == RV_OK && r.made < top + bottom)
        status = rv_fail(err, RV_E_ARGUMENT, "Lanczos: %d eigenvectors asked for, the Krylov space has %d dimensions",
                         top + bottom, r.made);
    if (status == RV_OK)
        status = solve(&r, &last, err);
    for (int i = 0; i < top + bottom && status == RV_OK; i++)
        status = ritz_pair(&r, probe, w, i < top ? r.made - 1 - i : i - top, &pairs[i], vectors + i * n, err);
    release(&r);
    return status;
}

void rv_spectral_density(const rv_ritz *ritz, const int *made, int starts, int steps, double sigma, int n,
                         const double *x, double *density, double *error)
{
    for (int i = 0; i < n; i++) {
        double sum = 0, squares = 0;
        for (int s = 0; s < starts; s++) {
            double value = 0;
            for (int k = 0; k < made[s]; k++) {
                const rv_ritz *node = &ritz[s * steps + k];
                double t = (x[i] - node->value) / sigma;
                value += node->weight * exp(-t * t / 2) / (sigma * sqrt(2 * acos(-1)));
            }
            sum += value;
            squares += value * value;
        }
        density[i] = sum / starts;
        double spread = fmax(squares / starts - density[i] * density[i], 0);
        error[i] = starts > 1 ? sqrt(spread / (starts - 1)) : NAN;
    }
}
