/* Inverse roots through LAPACK's divide and conquer (dsyevd).  Invariant: the root is
 * exactly symmetric, and positive definite for epsilon > 0. */
#include "optim/eigen.h"

#include <math.h>

#include <cblas.h>

/* Fortran: column-major, hidden lengths of the strings at the end. */
extern void dsyevd_(const char *job, const char *triangle, const int *n, double *a, const int *lda, double *w,
                    double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t job_length,
                    size_t triangle_length);

size_t rv_inverse_root_size(int n)
{
    const size_t s = (size_t)n;
    return s + (1 + 6 * s + 2 * s * s) + (3 + 5 * s); /* eigenvalues, work, integers */
}

bool rv_inverse_root(double *a, int n, double epsilon, double power, double *root, double *work)
{
    const int lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n;
    double *values = work;
    int info = 0;
    /* The lower triangle by rows is the upper one by columns; eigenvectors come back as rows. */
    dsyevd_("V", "U", &n, a, &n, values, work + n, &lwork, (int *)(void *)(work + n + lwork), &liwork, &info, 1, 1);
    if (info != 0)
        return false;
    for (int i = 0; i < n; i++) {
        const double scale = sqrt(pow(fmax(values[i], 0) + epsilon, -power));
        for (int j = 0; j < n; j++)
            a[(size_t)i * (size_t)n + (size_t)j] *= scale;
        if (!isfinite(values[i]))
            return false;
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, n, n, 1, a, n, 0, root, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            root[(size_t)j * (size_t)n + (size_t)i] = root[(size_t)i * (size_t)n + (size_t)j];
    return true;
}
