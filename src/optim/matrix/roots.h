/* Inverse roots A^(-power) of symmetric matrices, always in double: a table of solvers. */
#ifndef RV_OPTIM_MATRIX_ROOTS_H
#define RV_OPTIM_MATRIX_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ravine/core.h"

typedef enum rv_root_solver { RV_ROOT_EIGEN, RV_ROOT_NEWTON, RV_ROOT_HIGHER_ORDER } rv_root_solver;
#define RV_ROOT_WORDS "eigen|newton|higher_order"

/* How epsilon enters the eigendecomposition: into A before it (and if the smallest eigenvalue
 * is then below epsilon, all are shifted until it is), or into the eigenvalues after those below
 * zero were shifted to zero, or as the bound of a pseudo-inverse (eigenvalues up to n times
 * the machine's epsilon times the largest give 0). */
typedef enum rv_perturb { RV_PERTURB_BEFORE, RV_PERTURB_AFTER, RV_PERTURB_PSEUDO } rv_perturb;
#define RV_PERTURB_WORDS "before|after|pseudo"

typedef struct rv_root {
    rv_root_solver solver;
    rv_perturb perturb;  /* eigen */
    double epsilon;      /* absolute */
    double power;        /* 1/4 for the inverse fourth root */
    double tolerance;    /* newton, higher_order: of max |M - I| */
    int64_t iterations;  /* at most */
    int order;           /* higher_order: 2 is Newton's method */
} rv_root;

/* Doubles of the work area for order n. */
size_t rv_root_size(int n);

/* root [n, n] <- A^(-power), exactly symmetric.  a [n, n] is symmetric (its lower triangle is
 * read by eigen, all of it by the others) and destroyed.  False: no convergence, not finite. */
bool rv_inverse_root(const rv_root *how, double *a, int n, double *root, double *work);

/* Whether the solver can do this power: newton wants 1/power whole, higher_order a fraction of
 * small numbers.  RV_E_ARGUMENT names `owner`. */
rv_status rv_root_check(const rv_root *how, const char *owner, rv_error *err);

/* Coupled Newton iteration for a^(-1/p): x and m = x^p a start at z^(1/p) I and z a.  Ends when
 * max |m - I| is at most the tolerance, after so many iterations, or (growth > 0) when it grows
 * by that factor, and then returns the iterate before.  Returns max |m - I|; work [4 n n]. */
double rv_coupled_newton(const double *a, int n, int p, double z, double tolerance, int64_t iterations, double growth,
                         double *x, double *work);

#endif
