/* The Newton-Schulz orthogonalisation of Muon. */
#ifndef RV_OPTIM_NEWTON_SCHULZ_H
#define RV_OPTIM_NEWTON_SCHULZ_H

#include <stddef.h>
#include <stdint.h>

/* Elements of the work area for x [rows, cols]. */
size_t rv_newton_schulz_size(int64_t rows, int64_t cols);

/* Replaces x [rows, cols] by an approximation of its orthogonal polar factor:
 * x <- x / (||x|| + 1e-7), then `steps` times x <- a x + b (x x') x + c (x x')^2 x with
 * (a, b, c) = (3.4445, -4.7750, 2.0315).  Singular values end between about 0.68 and 1.13. */
void rv_newton_schulz_f32(float *x, int64_t rows, int64_t cols, int steps, float *work);
void rv_newton_schulz_f64(double *x, int64_t rows, int64_t cols, int steps, double *work);

#endif
