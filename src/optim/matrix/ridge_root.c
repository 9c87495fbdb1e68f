/* Inverse square roots with a relative ridge.  Invariant: a matrix of zeros has a root too. */
#include "optim/matrix/ridge_root.h"

#include <math.h>
#include <string.h>

#include <cblas.h>

#include "optim/matrix/roots.h"

enum { POWER_STEPS = 100, NEWTON_STEPS = 100, TRIES = 6 };

size_t rv_ridge_root_size(int n)
{
    const size_t s = (size_t)n;
    return s * s + 2 * s + rv_root_size(n);
}

/* By power iteration until the value moves less than 1e-6. */
static double largest_eigenvalue(const double *a, int n, double *work)
{
    double *v = work, *next = v + n, value = 0;
    for (int i = 0; i < n; i++)
        v[i] = cos(1.7 * i + 0.3);
    for (int k = 0; k < POWER_STEPS; k++) {
        const double length = sqrt(cblas_ddot(n, v, 1, v, 1)), last = value;
        for (int i = 0; i < n; i++)
            v[i] = length > 0 ? v[i] / length : 0;
        cblas_dgemv(CblasRowMajor, CblasNoTrans, n, n, 1, a, n, v, 1, 0, next, 1);
        value = cblas_ddot(n, v, 1, next, 1);
        memcpy(v, next, (size_t)n * sizeof *v);
        if (!(fabs(value - last) > 1e-6))
            break;
    }
    return value;
}

static double trace_of(const double *a, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[(size_t)i * (size_t)n + (size_t)i];
    return sum;
}

static void scale(double *a, int n, double factor)
{
    cblas_dscal(n * n, factor, a, 1);
}

static void add_diagonal(double *a, int n, double value)
{
    for (int i = 0; i < n; i++)
        a[(size_t)i * (size_t)n + (size_t)i] += value;
}

void rv_ridge_add(double *a, int n, double ridge, double *work)
{
    const double mean = trace_of(a, n) / n + 1e-30;
    scale(a, n, 1 / mean);
    const double most = largest_eigenvalue(a, n, work);
    scale(a, n, mean);
    add_diagonal(a, n, ridge * mean * most);
}

double rv_ridge_root(double *a, int n, double ridge, bool eigen, double *root, double *work)
{
    const size_t size = (size_t)n * (size_t)n;
    double *damped = work, *rest = damped + size;
    const double mean = trace_of(a, n) / n + 1e-30;
    scale(a, n, 1 / mean);
    double added = ridge * largest_eigenvalue(a, n, rest), error = HUGE_VAL;
    if (eigen) {
        const rv_root how = {.perturb = RV_PERTURB_BEFORE, .epsilon = added, .power = 0.5};
        error = rv_inverse_root(&how, a, n, root, rest) ? 0 : (double)NAN;
    }
    for (int k = 0; k < TRIES && !eigen && !(error <= 0.05); k++, added *= 10) {
        memcpy(damped, a, size * sizeof *a);
        add_diagonal(damped, n, added);
        const double norm = sqrt(cblas_ddot((int)size, damped, 1, damped, 1));
        error = rv_coupled_newton(damped, n, 2, 3 / (2 * norm), 1e-6, NEWTON_STEPS, 1.2, root, rest);
    }
    scale(root, n, 1 / sqrt(mean));
    return error;
}
