/* The three products of a linear layer with operands in bf16 and sums in float32. */
#ifndef RV_TENSOR_KERNELS_CPU_DENSE_H
#define RV_TENSOR_KERNELS_CPU_DENSE_H

#include "ravine/core.h"

typedef struct rv_dense rv_dense;

/* Whether this processor has instructions for bf16 products. */
bool rv_dense_possible(void);

/* x [rows, in], w [out, in], y [rows, out].  Products are run in parts: y and gx by rows, gw by
 * its own; each number of parts divides its extent. */
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

/* One part of y = x w^T; operands and results are given whole. */
rv_status rv_dense_forward(const rv_dense *dense, int part, const void *packed, const uint16_t *x, float *y,
                           void *scratch, rv_error *err);
/* Of gx (+)= gy w. */
rv_status rv_dense_data(const rv_dense *dense, int part, const void *packed, const uint16_t *gy, bool add, float *gx,
                        void *scratch, rv_error *err);
/* Of gw (+)= gy^T x. */
rv_status rv_dense_weight(const rv_dense *dense, int part, const uint16_t *gy, const uint16_t *x, bool add, float *gw,
                          void *scratch, rv_error *err);

#endif
