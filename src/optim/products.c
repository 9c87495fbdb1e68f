/* One interface to two engines.  Invariant: what is returned as symmetric is so bit for bit. */
#include "optim/products.h"

#include <cblas.h>
#include <string.h>

/* ---- float32 ----------------------------------------------------------------- */

/* The operand [rows, columns] that is stored so, or turned. */
static rv_matrix operand(const float *a, int64_t rows, int64_t columns, bool turned)
{
    return (rv_matrix){a, turned ? rows : columns, turned};
}

void rv_multiply_f32(const rv_team *team, int64_t m, int64_t n, int64_t k, const float *a, bool a_turned, const float *b,
                     bool b_turned, double weight, double keep, const float *base, float *c)
{
    const rv_sum to = {(float)weight, (float)keep, base, c, n};
    rv_team_product(team, m, n, k, operand(a, m, k, a_turned), operand(b, k, n, b_turned), &to);
}

void rv_gram_f32(const rv_team *team, int64_t n, int64_t k, const float *a, bool a_turned, bool whole, double weight,
                 double keep, float *c)
{
    const rv_sum to = {(float)weight, (float)keep, c, c, n};
    rv_team_symmetric(team, n, k, operand(a, n, k, a_turned), operand(a, k, n, !a_turned), whole, &to);
}

void rv_square_f32(const rv_team *team, int64_t n, const float *a, double weight, double keep, float *c)
{
    const rv_sum to = {(float)weight, (float)keep, a, c, n};
    rv_team_symmetric(team, n, n, operand(a, n, n, false), operand(a, n, n, false), true, &to);
}

/* ---- float64 ----------------------------------------------------------------- */

static CBLAS_TRANSPOSE flip(bool turned)
{
    return turned ? CblasTrans : CblasNoTrans;
}

/* The lower triangle of a [n, n] also in the upper one, in tiles that stay in the cache. */
static void mirror(double *a, int64_t n)
{
    enum { TILE = 16 };
    for (int64_t top = 0; top < n; top += TILE)
        for (int64_t left = 0; left <= top; left += TILE)
            for (int64_t i = top; i < top + TILE && i < n; i++)
                for (int64_t j = left; j < left + TILE && j < i; j++)
                    a[j * n + i] = a[i * n + j];
}

void rv_multiply_f64(const rv_team *team, int64_t m, int64_t n, int64_t k, const double *a, bool a_turned,
                     const double *b, bool b_turned, double weight, double keep, const double *base, double *c)
{
    (void)team;
    if (keep != 0 && base != c)
        memcpy(c, base, (size_t)(m * n) * sizeof *c);
    cblas_dgemm(CblasRowMajor, flip(a_turned), flip(b_turned), (int)m, (int)n, (int)k, weight, a,
                (int)(a_turned ? m : k), b, (int)(b_turned ? k : n), keep, c, (int)n);
}

void rv_gram_f64(const rv_team *team, int64_t n, int64_t k, const double *a, bool a_turned, bool whole, double weight,
                 double keep, double *c)
{
    (void)team;
    cblas_dsyrk(CblasRowMajor, CblasLower, flip(a_turned), (int)n, (int)k, weight, a, (int)(a_turned ? n : k), keep, c,
                (int)n);
    if (whole)
        mirror(c, n);
}

void rv_square_f64(const rv_team *team, int64_t n, const double *a, double weight, double keep, double *c)
{
    (void)team;
    memcpy(c, a, (size_t)(n * n) * sizeof *c);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n, (int)n, weight, a, (int)n, keep, c, (int)n);
    mirror(c, n);
}
