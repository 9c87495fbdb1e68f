/* Products of the matrix methods, of contiguous row-major matrices: in float32 by the engine's kernels with
 * the help of idle workers (team), in float64 by OpenBLAS on the calling worker, which does not look at team. */
#ifndef RV_OPTIM_PRODUCTS_H
#define RV_OPTIM_PRODUCTS_H

#include "tensor/kernels/cpu/team.h"

/* c [m, n] = keep base + weight a b with a [m, k] and b [k, n], each stored as its transpose where that is said;
 * base is c or apart from it, and is not read where keep is 0. */
void rv_multiply_f32(const rv_team *team, int64_t m, int64_t n, int64_t k, const float *a, bool a_turned, const float *b,
                     bool b_turned, double weight, double keep, const float *base, float *c);
void rv_multiply_f64(const rv_team *team, int64_t m, int64_t n, int64_t k, const double *a, bool a_turned,
                     const double *b, bool b_turned, double weight, double keep, const double *base, double *c);

/* Lower triangle of c [n, n] <- keep c + weight a a', a [n, k] or stored as its transpose.  Above the diagonal
 * nothing is promised but with `whole`, for which c was symmetric. */
void rv_gram_f32(const rv_team *team, int64_t n, int64_t k, const float *a, bool a_turned, bool whole, double weight,
                 double keep, float *c);
void rv_gram_f64(const rv_team *team, int64_t n, int64_t k, const double *a, bool a_turned, bool whole, double weight,
                 double keep, double *c);

/* c [n, n] = keep a + weight a^2 of a symmetric a, which is apart from c. */
void rv_square_f32(const rv_team *team, int64_t n, const float *a, double weight, double keep, float *c);
void rv_square_f64(const rv_team *team, int64_t n, const double *a, double weight, double keep, double *c);

#endif
