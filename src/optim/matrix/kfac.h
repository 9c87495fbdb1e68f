/* The inside of K-FAC, shared by its two files.  Invariant: sums are those of the calls since
 * the last step; factors change in steps only. */
#ifndef RV_OPTIM_MATRIX_KFAC_H
#define RV_OPTIM_MATRIX_KFAC_H

#include "core/arena.h"
#include "ravine/kfac.h"

#define RV_KFAC_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(damping, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "added to the curvature") \
    REAL(factor_decay, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the factors")                       \
    REAL(kl_clip, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "bound of the step's length in the Fisher norm; 0: none") \
    INT(factor_update_steps, 1, 1, 1e15, RV_PARAM_LOG, "steps between changes of the factors")     \
    INT(inverse_update_steps, 1, 1, 1e15, RV_PARAM_LOG, "steps between eigendecompositions or inverses") \
    CHOICE(method, "eigen|inverse", "eigen", "how the damped curvature is inverted")
RV_PARAM_STRUCT(rv_kfac_values, RV_KFAC_PARAMS);

enum { RV_KFAC_EIGEN, RV_KFAC_INVERSE };

/* One side of a layer: the factor of its inputs or of its output gradients. */
typedef struct rv_kfac_side {
    int n;          /* order; of inputs with the 1 of the bias */
    void *factor;   /* [n, n], lower triangle */
    void *sum;      /* [n, n], lower triangle, of the calls since the last step */
    void *basis;    /* [n, n]: eigenvectors as rows, or the inverse */
    void *values;   /* [n]: eigenvalues */
    bool fine;      /* whether the last decomposition worked */
} rv_kfac_side;

typedef struct rv_kfac_unit {
    char name[RV_NAME_SIZE];
    int in, out;
    bool bias;
    double rows; /* of the calls since the last step */
    rv_kfac_side a, g;
    void *gradient, *result, *spare; /* [out, a.n] */
    double product;                  /* <P, W> */
    bool finite; /* gradient and result */
} rv_kfac_unit;

struct rv_kfac {
    rv_kfac_values p;
    rv_dtype dtype;
    rv_pool *pool;
    int count;
    rv_kfac_unit *units; /* [count] */
    double steps, clip;
    rv_arena memory;
    double *work; /* [workers][work_size], LAPACK's */
    size_t work_size;
    void *const *weights, *const *biases; /* gradients of the step being made */
};

/* kfac_math.c, in the type of the run. */
void rv_kfac_identity_f32(rv_kfac_side *side);
void rv_kfac_identity_f64(rv_kfac_side *side);
bool rv_kfac_add_f32(rv_kfac_unit *unit, int64_t rows, double weight, const void *inputs, const void *gradients);
bool rv_kfac_add_f64(rv_kfac_unit *unit, int64_t rows, double weight, const void *inputs, const void *gradients);
void rv_kfac_settle_f32(const rv_kfac *k, rv_kfac_unit *unit);
void rv_kfac_settle_f64(const rv_kfac *k, rv_kfac_unit *unit);
bool rv_kfac_decompose_f32(const rv_kfac *k, rv_kfac_side *side, double *work);
bool rv_kfac_decompose_f64(const rv_kfac *k, rv_kfac_side *side, double *work);
size_t rv_kfac_work(int n); /* doubles that decompose needs */
void rv_kfac_precondition_f32(const rv_kfac *k, int layer);
void rv_kfac_precondition_f64(const rv_kfac *k, int layer);
void rv_kfac_write_f32(const rv_kfac *k, int layer);
void rv_kfac_write_f64(const rv_kfac *k, int layer);

#endif
