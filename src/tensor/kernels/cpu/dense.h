/* The three products of a linear layer with operands in bf16 and sums in float32. */
#ifndef RV_TENSOR_KERNELS_CPU_DENSE_H
#define RV_TENSOR_KERNELS_CPU_DENSE_H

#include "tensor/kernels/cpu/linear.h"

typedef struct rv_dense rv_dense;

/* Whether this processor has instructions for bf16 products. */
bool rv_dense_possible(void);

/* x [rows, in], w [out, in], y [rows, out], gradients alike, in bf16 as rv_bf16_ld tells.  Products are
 * run in parts: y and gx by rows, gw by its own; each number of parts divides its extent. */
typedef struct rv_dense_shape {
    int64_t rows, in, out; /* each at least 1 */
    int row_parts, weight_parts;
} rv_dense_shape;

/* Without data there is no rv_dense_data.  Immutable once made.  RV_E_MEMORY; RV_E_UNSUPPORTED:
 * the library has no such product. */
rv_status rv_dense_new(rv_dense **made, rv_dense_shape shape, bool data, rv_error *err);
void rv_dense_free(rv_dense *dense); /* NULL is fine */

size_t rv_dense_packed(const rv_dense *dense);  /* bytes */
size_t rv_dense_scratch(const rv_dense *dense); /* bytes, of any of the products */
/* w in float32 to the layout of the product forward and (data) to that of rv_dense_data. */
rv_status rv_dense_pack(const rv_dense *dense, bool data, const float *w, void *packed, rv_error *err);

/* How many rows of a part a call of rv_dense_forward should take, so that they stay in the
 * second-level cache; the last call for a part may take fewer. */
int64_t rv_dense_block(const rv_dense *dense);
/* y = x w^T for the given rows of x and y. */
rv_status rv_dense_forward(const rv_dense *dense, const void *packed, int64_t rows, const uint16_t *x, float *y,
                           void *scratch, rv_error *err);
/* gx (+)= gy w for the rows of a part. */
rv_status rv_dense_data(const rv_dense *dense, const void *packed, int64_t rows, const uint16_t *gy, bool add, float *gx,
                        void *scratch, rv_error *err);
/* Whether rv_dense_weight takes gy and x as pairs of rows (rv_cpu_gemm.pair_rows). */
bool rv_dense_pairs(const rv_dense *dense);
/* gw (+)= gy^T x for the rows of a part of gw, and as many columns of gy. */
rv_status rv_dense_weight(const rv_dense *dense, int64_t rows, const void *gy, const void *x, bool add, float *gw,
                          void *scratch, rv_error *err);

#endif
