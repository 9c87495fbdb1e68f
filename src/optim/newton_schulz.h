/* Orthogonalisation of a matrix by odd polynomials of degree five (Newton-Schulz). */
#ifndef RV_OPTIM_NEWTON_SCHULZ_H
#define RV_OPTIM_NEWTON_SCHULZ_H

#include "optim/products.h"

/* Named sets of coefficients; the last triple of a set serves all further steps. */
typedef enum rv_polar {
    RV_POLAR_MUON,    /* Jordan 2024: steep at zero, ends between 0.68 and 1.13 */
    RV_POLAR_EXPRESS, /* Polar Express, Amsel et al. 2025: five triples, x / (1.02 ||x|| + 1e-6) */
    RV_POLAR_PRESET,  /* the five triples of optax and Dion */
    RV_POLAR_MODULA,  /* (3, -16/5, 6/5): converges to 1 */
    RV_POLAR_SHAMPOO, /* Muon's, of x / max(||x||, 1e-8) as in Distributed Shampoo */
    RV_POLAR_COUNT
} rv_polar;
#define RV_POLAR_WORDS "muon|polar_express|preset|modula" /* those that users choose from */

/* Elements of the work area for x [rows, cols]. */
size_t rv_newton_schulz_size(int64_t rows, int64_t cols);

/* Replaces x [rows, cols] by an approximation of its orthogonal polar factor: x is divided
 * by its norm as the set says, then `steps` times x <- a x + b (x x') x + c (x x')^2 x. */
void rv_polar_f32(const rv_team *team, rv_polar set, float *x, int64_t rows, int64_t cols, int steps, float *work);
void rv_polar_f64(const rv_team *team, rv_polar set, double *x, int64_t rows, int64_t cols, int steps, double *work);

/* The same with Muon's coefficients (3.4445, -4.7750, 2.0315) and x / (||x|| + 1e-7). */
void rv_newton_schulz_f32(const rv_team *team, float *x, int64_t rows, int64_t cols, int steps, float *work);
void rv_newton_schulz_f64(const rv_team *team, double *x, int64_t rows, int64_t cols, int steps, double *work);

#endif
