/* The inside of K-FAC, shared by the method (kfac_method.c), the API of its own (kfac.c) and their
 * arithmetic.  Invariant: factors change in steps only. */
#ifndef RV_OPTIM_MATRIX_KFAC_H
#define RV_OPTIM_MATRIX_KFAC_H

#include "core/arena.h"
#include "ravine/kfac.h"

/* Rows of both tables: damping, clip, factors and inverses are the defaults. */
#define RV_KFAC_ROWS(REAL, INT, CHOICE, damping_, clip, factors, inverses)                          \
    REAL(damping, damping_, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the curvature") \
    REAL(factor_decay, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the factors")                        \
    REAL(kl_clip, clip, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "bound of the step's length in the Fisher norm; 0: none") \
    INT(factor_update_steps, factors, 1, 1e15, RV_PARAM_LOG, "steps between changes of the factors") \
    INT(inverse_update_steps, inverses, 1, 1e15, RV_PARAM_LOG, "steps between eigendecompositions or inverses") \
    CHOICE(method, "eigen|inverse", "eigen", "how the damped curvature is inverted")
#define RV_KFAC_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) RV_KFAC_ROWS(REAL, INT, CHOICE, 1e-3, 1e-3, 1, 1)
RV_PARAM_STRUCT(rv_kfac_values, RV_KFAC_PARAMS);

enum { RV_KFAC_EIGEN, RV_KFAC_INVERSE };

/* One side of a layer: the factor of its inputs or of its output gradients. */
typedef struct rv_kfac_side {
    int n;          /* order; of inputs with the 1 of the bias */
    void *factor;   /* [n, n], lower triangle */
    void *basis;    /* [n, n]: eigenvectors as rows, or the inverse */
    void *values;   /* [n]: eigenvalues */
} rv_kfac_side;

/* A layer at work. */
typedef struct rv_kfac_unit {
    int in, out;
    bool bias;
    rv_kfac_side a, g;
    const void *weight_from, *bias_from; /* its gradients */
    void *weight_to, *bias_to;           /* where they go */
    void *gradient, *result, *spare;     /* [out, a.n] */
    double product;                      /* <P, W> */
} rv_kfac_unit;

/* A layer of the API, with what was observed since the last step. */
typedef struct rv_kfac_entry {
    char name[RV_NAME_SIZE];
    rv_kfac_unit unit;
    void *a_sum, *g_sum; /* [n, n], lower triangle */
    double rows;
    bool a_fine, g_fine, finite; /* whether decompositions, and gradient and result are */
} rv_kfac_entry;

struct rv_kfac {
    rv_kfac_values p;
    rv_dtype dtype;
    rv_pool *pool;
    int count;
    rv_kfac_entry *entries; /* [count] */
    double steps, clip;
    rv_arena memory;
    double *work; /* [workers][work_size], LAPACK's */
    size_t work_size;
    void *const *weights, *const *biases; /* gradients of the step being made */
};

/* min(1, sqrt(bound / |sum|)), sum = lr^2 <P, W> over the layers; bound 0: 1. */
double rv_kfac_nu(double bound, double sum);
size_t rv_kfac_work(int n); /* doubles that decompose needs */

/* kfac_math.c, in the type of the run. */
#define RV_KFAC_MATH(suffix)                                                                                          \
    void rv_kfac_identity##suffix(rv_kfac_side *side);                                                                \
    bool rv_kfac_add##suffix(rv_kfac_entry *entry, int64_t rows, double weight, const void *inputs,                   \
                             const void *gradients);                                                                  \
    /* factor <- keep factor + weight sum; false, and it stays: not finite */                                         \
    bool rv_kfac_settle##suffix(rv_kfac_side *side, double keep, double weight, const void *sum);                     \
    /* eigenvectors and values, or the inverse of the damped factor; false: there are none */                         \
    bool rv_kfac_decompose##suffix(rv_kfac_side *side, int method, double damping, double *work);                     \
    /* P into its result, and <P, W>; false: not finite */                                                            \
    bool rv_kfac_precondition##suffix(rv_kfac_unit *unit, int method, double damping);                                \
    /* nu P to where it goes */                                                                                       \
    void rv_kfac_write##suffix(const rv_kfac_unit *unit, double nu);
RV_KFAC_MATH(_f32)
RV_KFAC_MATH(_f64)
#undef RV_KFAC_MATH

#endif
