/* The arithmetic of K-FAC.  Invariant: nothing here looks at another layer than its own. */
#ifndef RV_REAL

#include <cblas.h>
#include <math.h>

#include "optim/matrix/basis.h"
#include "optim/matrix/blocks.h"
#include "optim/matrix/graft.h"
#include "optim/matrix/kfac.h"

extern void dpotrf_(const char *triangle, const int *n, double *a, const int *lda, int *info, size_t length);
extern void dpotri_(const char *triangle, const int *n, double *a, const int *lda, int *info, size_t length);

size_t rv_kfac_work(int n)
{
    const size_t s = (size_t)n;
    return s * s + s + rv_basis_size(n);
}

double rv_kfac_nu(double bound, double sum)
{
    return bound > 0 && sum != 0 ? fmin(1, sqrt(bound / fabs(sum))) : 1;
}

#define RV_KERNEL_FILE "optim/matrix/kfac_math.c"
#include "optim/kernel.h"

#else
#include "optim/matrix/typed.h"

void RV_FN(rv_kfac_identity)(rv_kfac_side *side)
{
    RV_REAL *a = side->factor;
    memset(a, 0, (size_t)side->n * (size_t)side->n * sizeof *a);
    for (int64_t i = 0; i < side->n; i++)
        a[i * side->n + i] = 1;
}

/* Lower triangle of sum [n, n] <- sum + weight x'x, x [rows, width] with a column of ones where n > width. */
static void RV_FN(add_product)(RV_REAL *sum, int n, const RV_REAL *x, int64_t rows, int width, double weight)
{
    RV_BLAS(syrk)(CblasRowMajor, CblasLower, CblasTrans, width, (int)rows, (RV_REAL)weight, x, width, 1, sum, n);
    if (n > width) {
        RV_REAL *last = sum + (int64_t)width * n;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < width; j++)
                last[j] += (RV_REAL)weight * x[i * width + j];
        last[width] += (RV_REAL)(weight * (double)rows);
    }
}

/* False, and nothing is added: something is not finite. */
bool RV_FN(rv_kfac_add)(rv_kfac_entry *entry, int64_t rows, double weight, const void *inputs, const void *gradients)
{
    const rv_kfac_unit *unit = &entry->unit;
    if (!RV_FN(rv_finite)(inputs, rows * unit->in) || !RV_FN(rv_finite)(gradients, rows * unit->out))
        return false;
    RV_FN(add_product)(entry->a_sum, unit->a.n, inputs, rows, unit->in, weight);
    RV_FN(add_product)(entry->g_sum, unit->g.n, gradients, rows, unit->out, weight);
    entry->rows += (double)rows;
    return true;
}

bool RV_FN(rv_kfac_settle)(rv_kfac_side *side, double keep, double weight, const void *sum)
{
    const RV_REAL old = (RV_REAL)keep, *from = sum;
    RV_REAL *factor = side->factor;
    for (int64_t i = 0; i < side->n; i++)
        if (!RV_FN(rv_finite)(from + i * side->n, i + 1))
            return false;
    for (int64_t i = 0; i < side->n; i++)
        for (int64_t k = i * side->n; k <= i * side->n + i; k++)
            factor[k] = old * factor[k] + (RV_REAL)(weight * (double)from[k]);
    return true;
}

bool RV_FN(rv_kfac_decompose)(rv_kfac_side *side, int method, double damping, double *work)
{
    const int n = side->n;
    const size_t size = (size_t)n * (size_t)n;
    double *a = work, *values = a + size;
    RV_REAL *basis = side->basis, *eigenvalues = side->values;
    RV_FN(rv_widen_lower)(a, side->factor, n, 1);
    if (method == RV_KFAC_EIGEN) {
        if (!rv_eigen(a, n, values, values + n))
            return false;
        for (int i = 0; i < n; i++)
            eigenvalues[i] = (RV_REAL)fmax(values[i], 0);
        RV_FN(rv_narrow)(basis, a, size);
        return true;
    }
    int info = 0;
    for (size_t i = 0; i < (size_t)n; i++)
        a[i * (size_t)n + i] += damping;
    dpotrf_("U", &n, a, &n, &info, 1); /* the lower triangle by rows is the upper one by columns */
    if (info == 0)
        dpotri_("U", &n, a, &n, &info, 1);
    for (int64_t i = 0; i < n && info == 0; i++)
        for (int64_t j = 0; j <= i; j++)
            basis[i * n + j] = basis[j * n + i] = (RV_REAL)a[i * n + j];
    return info == 0;
}

/* to [out, n] <- left from right', or with transposes left' from right. */
static void RV_FN(both_sides)(const rv_kfac_unit *u, const RV_REAL *from, bool back, RV_REAL *spare, RV_REAL *to)
{
    const int n = u->a.n, m = u->out;
    RV_BLAS(gemm)(CblasRowMajor, back ? CblasTrans : CblasNoTrans, CblasNoTrans, m, n, m, 1, u->g.basis, m, from, n, 0,
                  spare, n);
    RV_BLAS(gemm)(CblasRowMajor, CblasNoTrans, back ? CblasNoTrans : CblasTrans, m, n, n, 1, spare, n, u->a.basis, n, 0,
                  to, n);
}

/* [weight | bias] gradients side by side. */
static void RV_FN(join)(const rv_kfac_unit *u)
{
    RV_REAL *w = u->gradient;
    for (int64_t i = 0; i < u->out; i++) {
        memcpy(w + i * u->a.n, (const RV_REAL *)u->weight_from + i * u->in, (size_t)u->in * sizeof *w);
        if (u->bias)
            w[i * u->a.n + u->in] = ((const RV_REAL *)u->bias_from)[i];
    }
}

bool RV_FN(rv_kfac_precondition)(rv_kfac_unit *u, int method, double damping)
{
    const int64_t n = u->a.n, size = u->out * n;
    RV_REAL *result = u->result;
    RV_FN(join)(u);
    if (!RV_FN(rv_finite)(u->gradient, size))
        return false;
    RV_FN(both_sides)(u, u->gradient, false, u->spare, result);
    if (method == RV_KFAC_EIGEN) {
        const RV_REAL *da = u->a.values, *dg = u->g.values, added = (RV_REAL)damping;
        for (int64_t i = 0; i < u->out; i++)
            for (int64_t j = 0; j < n; j++)
                result[i * n + j] /= dg[i] * da[j] + added;
        RV_FN(both_sides)(u, result, true, u->spare, result);
    }
    double lane[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(result, u->gradient, size, lane);
    u->product = RV_FN(rv_lanes)(lane);
    return RV_FN(rv_finite)(result, size) && isfinite(u->product);
}

void RV_FN(rv_kfac_write)(const rv_kfac_unit *u, double nu)
{
    const int64_t n = u->a.n;
    const RV_REAL scale = (RV_REAL)nu, *result = u->result;
    RV_REAL *weights = u->weight_to, *biases = u->bias ? u->bias_to : NULL;
    for (int64_t i = 0; i < u->out; i++) {
        for (int64_t j = 0; j < u->in; j++)
            weights[i * u->in + j] = scale * result[i * n + j];
        if (biases)
            biases[i] = scale * result[i * n + u->in];
    }
}

#endif
