/* The inverse square root of JAX's Distributed Shampoo: scaled to mean diagonal 1, with a ridge
 * relative to the largest eigenvalue. */
#ifndef RV_OPTIM_MATRIX_RIDGE_ROOT_H
#define RV_OPTIM_MATRIX_RIDGE_ROOT_H

#include <stdbool.h>
#include <stddef.h>

/* Doubles of the work area for order n. */
size_t rv_ridge_root_size(int n);

/* a <- a + ridge lmax(a) I, with the largest eigenvalue by power iteration; work [2 n]. */
void rv_ridge_add(double *a, int n, double ridge, double *work);

/* root <- a^(-1/2) of the symmetric a [n, n], which is destroyed.  Newton's iteration is tried
 * again with ten times the ridge, up to six times, while its error is above 0.05; with `eigen`
 * the root is exact.  Returns the error max |root' a root - I| as the iteration knows it, NaN:
 * no result. */
double rv_ridge_root(double *a, int n, double ridge, bool eigen, double *root, double *work);

#endif
