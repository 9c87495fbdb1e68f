/* Bases through LAPACK.  Invariant: row-major matrices are handed over as the column-major
 * transposes that they are, never copied. */
#include "optim/matrix/basis.h"

#include <math.h>
#include <string.h>

#include <cblas.h>

/* Fortran: column-major, hidden lengths of the strings at the end. */
extern void dsyevd_(const char *job, const char *triangle, const int *n, double *a, const int *lda, double *w,
                    double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t job_length,
                    size_t triangle_length);
extern void dgelqf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
                    int *info);
extern void dorglq_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
                    double *work, const int *lwork, int *info);

enum { PANEL = 64 }; /* columns that LAPACK's blocked QR takes at once */

size_t rv_basis_size(int n)
{
    const size_t s = (size_t)n, eigen = (1 + 6 * s + 2 * s * s) + (3 + 5 * s), qr = s + s * PANEL;
    return (eigen > qr ? eigen : qr) + 1;
}

bool rv_eigen(double *a, int n, double *values, double *work)
{
    const int lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n;
    int info = 0;
    /* The lower triangle by rows is the upper one by columns; eigenvectors come back as rows. */
    dsyevd_("V", "U", &n, a, &n, values, work, &lwork, (int *)(void *)(work + lwork), &liwork, &info, 1, 1);
    for (int i = 0; i < n && info == 0; i++)
        if (!isfinite(values[i]))
            return false;
    return info == 0;
}

bool rv_orthonormal(double *a, int rows, int n, double *r, double *work)
{
    const int lwork = n * PANEL;
    double *tau = work;
    int info = 0;
    dgelqf_(&n, &rows, a, &n, tau, work + n, &lwork, &info);
    if (info != 0)
        return false;
    if (r) { /* L by columns is R by rows */
        memset(r, 0, (size_t)n * (size_t)n * sizeof *r);
        for (int i = 0; i < n; i++)
            memcpy(r + (size_t)i * (size_t)n + i, a + (size_t)i * (size_t)n + i, (size_t)(n - i) * sizeof *r);
    }
    dorglq_(&n, &rows, &n, a, &n, tau, work + n, &lwork, &info);
    for (size_t i = 0; i < (size_t)rows * (size_t)n && info == 0; i++)
        if (!isfinite(a[i]))
            return false;
    return info == 0;
}

void rv_basis_order(const double *values, int n, int *order)
{
    for (int i = 0; i < n; i++) { /* by insertion: values are nearly in order after the first time */
        int at = i;
        for (; at > 0 && values[order[at - 1]] > values[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

size_t rv_basis_sweep_size(int n)
{
    const size_t s = (size_t)n;
    return 3 * s * s + 2 * s + rv_basis_size(n);
}

static void multiply(CBLAS_TRANSPOSE flip, const double *a, const double *b, double *c, int n)
{
    cblas_dgemm(CblasRowMajor, flip, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
}

bool rv_basis_sweep(double *a, double *q, int n, double *work)
{
    const size_t size = (size_t)n * (size_t)n;
    double *b = work, *r = b + size, *spare = r + size, *values = spare + size;
    int *order = (int *)(void *)(values + n);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1, a, n, q, n, 0, spare, n);
    multiply(CblasNoTrans, q, spare, b, n);
    if (!rv_orthonormal(b, n, n, r, values + 2 * n))
        return false;
    multiply(CblasNoTrans, r, b, spare, n);
    for (int i = 0; i < n; i++)
        values[i] = spare[(size_t)i * (size_t)n + (size_t)i];
    multiply(CblasTrans, b, q, spare, n);
    rv_basis_order(values, n, order);
    for (int i = 0; i < n; i++)
        memcpy(q + (size_t)i * (size_t)n, spare + (size_t)order[i] * (size_t)n, (size_t)n * sizeof *q);
    return true;
}
