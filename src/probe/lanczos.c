/* Lanczos with full reorthogonalisation (twice, which is enough), and spectral densities by
 * quadrature: Golub, Welsch 1969; Ghorbani, Krishnan, Xiao 2019, algorithm 1. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"

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
    if (!r->diagonal) {
        release(r);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %d steps of Lanczos", o->name, steps);
    }
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

static rv_status solve(recurrence *r, rv_ritz *ritz, rv_error *err)
{
    int n = r->made, info = 0;
    double last = r->off[n - 1];
    dstev_("V", &n, r->diagonal, r->off, r->vectors, &n, r->work, &info, 1);
    if (info != 0)
        return rv_fail(err, RV_E_NUMERIC, "Lanczos: the tridiagonal matrix has no eigenvalues (dstev %d)", info);
    for (int k = 0; k < n; k++) {
        const double *z = r->vectors + (size_t)k * (size_t)n;
        ritz[k] = (rv_ritz){r->diagonal[k], z[0] * z[0], fabs(last * z[n - 1])};
    }
    return RV_OK;
}

rv_status rv_probe_lanczos(const rv_probe_target *probe, const void *w, uint64_t seed, uint64_t index, int steps,
                           rv_ritz *ritz, int *made, rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    recurrence r;
    assert(steps >= 1);
    RV_TRY(reserve(&r, probe->objective, steps, err));
    rv_direction_draw(probe->objective, w, RV_DIRECTION_GAUSSIAN, seed, index, r.basis);
    rv_vector_scale(r.basis, 1 / rv_vector_norm(r.basis, n), n);
    rv_status status = RV_OK;
    for (int k = 0; k < steps && status == RV_OK && (k == 0 || r.off[k - 1] > 0); k++)
        status = extend(&r, probe, w, k, err);
    if (status == RV_OK)
        status = solve(&r, ritz, err);
    *made = r.made;
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
