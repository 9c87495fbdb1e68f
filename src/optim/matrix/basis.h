/* Orthonormal bases through LAPACK, in double: eigenvectors and QR. */
#ifndef RV_OPTIM_MATRIX_BASIS_H
#define RV_OPTIM_MATRIX_BASIS_H

#include <stdbool.h>
#include <stddef.h>

/* Doubles of the work area of every function here, for a matrix of n columns. */
size_t rv_basis_size(int n);

/* Eigenvalues (ascending) and eigenvectors (rows of a, in the same order) of the symmetric
 * a [n, n], of which the lower triangle is read.  False: no convergence, or not finite. */
bool rv_eigen(double *a, int n, double *values, double *work);

/* a [rows, n], rows >= n, becomes the orthonormal factor of its QR decomposition (Householder:
 * columns are defined even where a has no full rank); r [n, n] the upper triangular one, unless
 * NULL.  False: not finite. */
bool rv_orthonormal(double *a, int rows, int n, double *r, double *work);

/* One sweep of the QR algorithm from the basis q (rows, orthonormal): B = q a q' = Q R,
 * B <- R Q, q <- Q'q; then the rows of q in order of ascending diagonal of B.  a and q [n, n];
 * a is destroyed; work: rv_basis_sweep_size(n) doubles.  False: not finite. */
size_t rv_basis_sweep_size(int n);
bool rv_basis_sweep(double *a, double *q, int n, double *work);

/* Places of n values in ascending order: order[i] is the index of the i-th smallest; equal ones
 * in order of index. */
void rv_basis_order(const double *values, int n, int *order);

#endif
