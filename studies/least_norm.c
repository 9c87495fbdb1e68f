/* dgelsd and dgels want b with max(m, n) rows and destroy their operands: copies, and a work
 * area of the size they ask for. */
#include "studies/least_norm.h"

#include <stdlib.h>
#include <string.h>

extern void dgelsd_(const int *m, const int *n, const int *nrhs, double *a, const int *lda, double *b, const int *ldb,
                    double *s, const double *rcond, int *rank, double *work, const int *lwork, int *iwork, int *info);

extern void dgels_(const char *transposed, const int *m, const int *n, const int *nrhs, double *a, const int *lda, double *b,
                   const int *ldb, double *work, const int *lwork, int *info, size_t transposed_length);

/* a is destroyed, b [max(m, n), k] becomes the solution; lwork = -1 only asks. */
static int solve(int m, int n, int k, double rcond, double *a, double *b, double *s, double *work, int lwork, int *integers)
{
    int rows = m > n ? m : n, rank, info;
    if (rcond < 0)
        dgels_("N", &m, &n, &k, a, &m, b, &rows, work, &lwork, &info, 1);
    else
        dgelsd_(&m, &n, &k, a, &m, b, &rows, s, &rcond, &rank, work, &lwork, integers, &info);
    return info;
}

rv_status rv_least_norm(int m, int n, int k, const double *a, const double *b, double rcond, double *x, rv_error *err)
{
    int rows = m > n ? m : n, least = m < n ? m : n, ask[1] = {1};
    double size = 1;
    solve(m, n, k, rcond, NULL, NULL, NULL, &size, -1, ask);
    size_t mn = (size_t)m * (size_t)n, bk = (size_t)rows * (size_t)k;
    double *memory = malloc((mn + bk + (size_t)least + (size_t)size) * sizeof *memory);
    int *integers = malloc((size_t)ask[0] * sizeof *integers);
    if (!memory || !integers) {
        free(memory);
        free(integers);
        return rv_fail(err, RV_E_MEMORY, "no memory for least squares of %d x %d", m, n);
    }
    double *right = memory + mn, *s = right + bk;
    memcpy(memory, a, mn * sizeof *a);
    for (int j = 0; j < k; j++)
        memcpy(right + (size_t)j * (size_t)rows, b + (size_t)j * (size_t)m, (size_t)m * sizeof *b);
    int info = solve(m, n, k, rcond, memory, right, s, s + least, (int)size, integers);
    for (int j = 0; j < k; j++)
        memcpy(x + (size_t)j * (size_t)n, right + (size_t)j * (size_t)rows, (size_t)n * sizeof *x);
    free(memory);
    free(integers);
    return info == 0 ? RV_OK : rv_fail(err, RV_E_NUMERIC, "least squares of %d x %d: no solution (LAPACK %d)", m, n, info);
}
