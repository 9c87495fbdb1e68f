/* Inverse roots of symmetric matrices by eigendecomposition, always in double. */
#ifndef RV_OPTIM_EIGEN_H
#define RV_OPTIM_EIGEN_H

#include <stdbool.h>
#include <stddef.h>

/* Doubles of the work area for order n. */
size_t rv_inverse_root_size(int n);

/* root [n, n] <- (a + epsilon I)^-power, where eigenvalues of a below zero count as zero.
 * a [n, n] is symmetric (its lower triangle is read) and destroyed.  False: no convergence. */
bool rv_inverse_root(double *a, int n, double epsilon, double power, double *root, double *work);

#endif
