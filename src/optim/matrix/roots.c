/* Inverse roots.  Invariant: what is returned is exactly symmetric; a solver reads only the
 * matrix it is given, so that a root does not depend on the worker that takes it. */
#include "optim/matrix/roots.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include <cblas.h>

#include "optim/matrix/basis.h"

size_t rv_root_size(int n)
{
    const size_t s = (size_t)n, eigen = s + rv_basis_size(n), newton = 5 * s * s;
    const size_t sweep = rv_basis_sweep_size(n), most = eigen > newton ? eigen : newton;
    return most > sweep ? most : sweep;
}

static void add_diagonal(double *a, int n, double value)
{
    for (int i = 0; i < n; i++)
        a[(size_t)i * (size_t)n + (size_t)i] += value;
}

/* Both triangles become their mean. */
static void symmetrise(double *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            double *p = &a[(size_t)i * (size_t)n + (size_t)j], *q = &a[(size_t)j * (size_t)n + (size_t)i];
            *p = *q = 0.5 * (*p + *q);
        }
}

/* ---- eigendecomposition ---------------------------------------------------- */

/* What is added to all eigenvalues (ascending) before the power is taken. */
static double shift_of(const rv_root *how, double smallest)
{
    if (how->perturb == RV_PERTURB_AFTER)
        return how->epsilon - fmin(smallest, 0);
    if (how->perturb == RV_PERTURB_BEFORE && smallest < how->epsilon)
        return how->epsilon - smallest;
    return 0;
}

static bool by_eigen(const rv_root *how, double *a, int n, double *root, double *work)
{
    double *values = work;
    if (how->perturb == RV_PERTURB_BEFORE)
        add_diagonal(a, n, how->epsilon);
    if (!rv_eigen(a, n, values, work + n))
        return false;
    const double shift = shift_of(how, values[0]), least = values[n - 1] * n * DBL_EPSILON;
    for (int i = 0; i < n; i++) {
        const double value = values[i] + shift;
        const bool kept = how->perturb == RV_PERTURB_PSEUDO ? value > least : value > 0;
        const double scale = kept ? sqrt(pow(value, -how->power)) : 0;
        for (int j = 0; j < n; j++)
            a[(size_t)i * (size_t)n + (size_t)j] *= scale;
        if (!kept && how->perturb != RV_PERTURB_PSEUDO)
            return false;
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, n, n, 1, a, n, 0, root, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            root[(size_t)j * (size_t)n + (size_t)i] = root[(size_t)i * (size_t)n + (size_t)j];
    return true;
}

/* ---- coupled iterations ---------------------------------------------------- */

static void product(const double *a, const double *b, double *c, int n)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
}

/* to <- base^p, p >= 1, by squaring; base is destroyed, spare [n, n] is work. */
static void power_of(double *base, int p, double *to, int n, double *spare)
{
    const size_t bytes = (size_t)n * (size_t)n * sizeof *to;
    bool begun = false;
    for (;; p /= 2) {
        if (p % 2 == 1) {
            if (begun)
                product(to, base, spare, n);
            memcpy(to, begun ? spare : base, bytes);
            begun = true;
        }
        if (p <= 1)
            return;
        product(base, base, spare, n);
        memcpy(base, spare, bytes);
    }
}

/* max |m - I| */
static double distance_to_identity(const double *m, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const double d = fabs(m[(size_t)i * (size_t)n + (size_t)j] - (i == j));
            most = d > most || isnan(d) ? d : most;
        }
    return most;
}

/* x <- x b, m <- b^p m; b is destroyed, spare and other [n, n] are work. */
static void advance(double *x, double *m, double *b, int n, int p, double *spare, double *other)
{
    const size_t bytes = (size_t)n * (size_t)n * sizeof *x;
    product(x, b, spare, n);
    memcpy(x, spare, bytes);
    power_of(b, p, other, n, spare);
    product(other, m, spare, n);
    memcpy(m, spare, bytes);
}

/* x <- z^(1/p) I, m <- z a */
static void begin(const double *a, int n, int p, double z, double *x, double *m)
{
    const size_t size = (size_t)n * (size_t)n;
    memset(x, 0, size * sizeof *x);
    add_diagonal(x, n, pow(z, 1.0 / p));
    for (size_t i = 0; i < size; i++)
        m[i] = z * a[i];
}

/* b <- (1 + 1/p) I - m/p */
static void newton_factor(const double *m, int n, int p, double *b)
{
    for (size_t i = 0; i < (size_t)n * (size_t)n; i++)
        b[i] = -m[i] / p;
    add_diagonal(b, n, 1 + 1.0 / p);
}

double rv_coupled_newton(const double *a, int n, int p, double z, double tolerance, int64_t iterations, double growth,
                         double *x, double *work)
{
    const size_t size = (size_t)n * (size_t)n;
    double *m = work, *b = m + size, *spare = b + size, *other = spare + size, *before = other + size;
    begin(a, n, p, z, x, m);
    double error = distance_to_identity(m, n);
    for (int64_t k = 0; k < iterations && error > tolerance; k++) {
        const double last = error;
        if (growth > 0)
            memcpy(before, x, size * sizeof *x);
        newton_factor(m, n, p, b);
        advance(x, m, b, n, p, spare, other);
        error = distance_to_identity(m, n);
        if (growth > 0 && !(error < growth * last)) {
            memcpy(x, before, size * sizeof *x);
            break;
        }
    }
    return error;
}

static double frobenius(const double *a, int n)
{
    return sqrt(cblas_ddot(n * n, a, 1, a, 1));
}

static bool by_newton(const rv_root *how, double *a, int n, double *root, double *work)
{
    const int p = (int)lround(1 / how->power);
    add_diagonal(a, n, how->epsilon);
    const double norm = frobenius(a, n);
    const double error = rv_coupled_newton(a, n, p, (p + 1) / (2 * norm), how->tolerance, how->iterations, 0, root, work);
    symmetrise(root, n);
    return isfinite(error);
}

enum { MOST_DENOMINATOR = 64 };

/* 1/power as a fraction p/q of lowest terms; false: there is none with a small q. */
static bool fraction_of(double power, int *p, int *q)
{
    for (*q = 1; *q <= MOST_DENOMINATOR; ++*q) {
        const double top = *q / power;
        *p = (int)lround(top);
        if (*p >= 1 && *p <= 1024 && fabs(top - *p) < 1e-9 * top)
            return true;
    }
    return false;
}

/* b <- sum of b_i (I - m)^i for i < order, by Horner's rule; e and spare [n, n] are work. */
static void series(const double *m, int n, int p, int order, double *b, double *e, double *spare)
{
    const size_t size = (size_t)n * (size_t)n;
    double coefficient[16] = {1};
    for (int i = 1; i < order; i++)
        coefficient[i] = coefficient[i - 1] * (1 + (i - 1) * (double)p) / (i * (double)p);
    for (size_t i = 0; i < size; i++)
        e[i] = -m[i];
    add_diagonal(e, n, 1);
    memset(b, 0, size * sizeof *b);
    add_diagonal(b, n, coefficient[order - 1]);
    for (int i = order - 2; i >= 0; i--) {
        product(b, e, spare, n);
        memcpy(b, spare, size * sizeof *b);
        add_diagonal(b, n, coefficient[i]);
    }
}

/* Whether x^p is the inverse of a, to a tenth. */
static bool inverts(const double *a, const double *x, int n, int p, double *base, double *to, double *spare)
{
    memcpy(base, x, (size_t)n * (size_t)n * sizeof *x);
    power_of(base, p, to, n, spare);
    product(a, to, spare, n);
    return distance_to_identity(spare, n) <= 0.1;
}

static bool by_higher_order(const rv_root *how, double *a, int n, double *root, double *work)
{
    const size_t size = (size_t)n * (size_t)n;
    double *m = work, *b = m + size, *spare = b + size, *other = spare + size, trace = 0;
    int p, q;
    if (!fraction_of(how->power, &p, &q))
        return false;
    add_diagonal(a, n, how->epsilon);
    for (int i = 0; i < n; i++)
        trace += a[(size_t)i * (size_t)n + (size_t)i];
    begin(a, n, p, 1 / trace, root, m);
    newton_factor(m, n, p, b);
    advance(root, m, b, n, p, spare, other);
    double error = distance_to_identity(m, n);
    for (int64_t k = 1; k < how->iterations && error > how->tolerance; k++) {
        const double last = error;
        series(m, n, p, how->order, b, other, spare);
        advance(root, m, b, n, p, spare, other);
        error = distance_to_identity(m, n);
        if (error > 1.2 * last || (last < 1e-3 && error >= last))
            break;
    }
    if (!isfinite(error) || !inverts(a, root, n, p, b, other, spare))
        return false;
    if (q > 1) {
        power_of(root, q, other, n, spare);
        memcpy(root, other, size * sizeof *root);
    }
    symmetrise(root, n);
    return true;
}

/* ---- the table ------------------------------------------------------------- */

typedef bool solve(const rv_root *how, double *a, int n, double *root, double *work);

static solve *const solvers[] = {
    [RV_ROOT_EIGEN] = by_eigen, [RV_ROOT_NEWTON] = by_newton, [RV_ROOT_HIGHER_ORDER] = by_higher_order};

bool rv_inverse_root(const rv_root *how, double *a, int n, double *root, double *work)
{
    return solvers[how->solver](how, a, n, root, work);
}

rv_status rv_root_check(const rv_root *how, const char *owner, rv_error *err)
{
    const double order = 1 / how->power;
    int p, q;
    if (how->solver == RV_ROOT_NEWTON && (fabs(order - round(order)) > 1e-9 || order > 1024))
        return rv_fail(err, RV_E_ARGUMENT, "%s: root=newton takes whole roots only, found %g", owner, order);
    if (how->solver == RV_ROOT_HIGHER_ORDER && !fraction_of(how->power, &p, &q))
        return rv_fail(err, RV_E_ARGUMENT, "%s: root=higher_order takes fractions of small numbers, found %g", owner,
                       order);
    return RV_OK;
}
