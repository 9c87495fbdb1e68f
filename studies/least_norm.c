/* dgelsd wants b with max(m, n) rows and destroys its operands: copies, and a work area of the
 * size it asks for. */
#include "studies/least_norm.h"

#include <stdlib.h>
#include <string.h>

extern void dgelsd_(const int *m, const int *n, const int *nrhs, double *a, const int *lda, double *b, const int *ldb,
                    double *s, const double *rcond, int *rank, double *work, const int *lwork, int *iwork, int *info);

rv_status rv_least_norm(int m, int n, int k, const double *a, const double *b, double rcond, double *x, rv_error *err)
{
    int rows = m > n ? m : n, least = m < n ? m : n, rank, info, lwork = -1, ask[1];
    double size;
    dgelsd_(&m, &n, &k, NULL, &m, NULL, &rows, NULL, &rcond, &rank, &size, &lwork, ask, &info);
    lwork = (int)size;
    size_t mn = (size_t)m * (size_t)n, bk = (size_t)rows * (size_t)k;
    double *memory = malloc((mn + bk + (size_t)least + (size_t)lwork) * sizeof *memory);
    int *integers = malloc((size_t)(ask[0] > 1 ? ask[0] : 1) * sizeof *integers);
    if (!memory || !integers) {
        free(memory);
        free(integers);
        return rv_fail(err, RV_E_MEMORY, "no memory for least squares of %d x %d", m, n);
    }
    double *right = memory + mn, *s = right + bk;
    memcpy(memory, a, mn * sizeof *a);
    for (int j = 0; j < k; j++)
        memcpy(right + (size_t)j * (size_t)rows, b + (size_t)j * (size_t)m, (size_t)m * sizeof *b);
    dgelsd_(&m, &n, &k, memory, &m, right, &rows, s, &rcond, &rank, s + least, &lwork, integers, &info);
    for (int j = 0; j < k; j++)
        memcpy(x + (size_t)j * (size_t)n, right + (size_t)j * (size_t)rows, (size_t)n * sizeof *x);
    free(memory);
    free(integers);
    return info == 0 ? RV_OK : rv_fail(err, RV_E_NUMERIC, "least squares of %d x %d: no convergence (dgelsd %d)", m, n, info);
}
