/* Factor sums by the products of the other kernels; whole squares are written where only lower
 * triangles count. */
#include "tensor/kernels/cpu/factors.h"

#include "tensor/kernels/cpu/product.h"

/* sum [n, n] of rows of length ld += x'x, x [rows, n]. */
static rv_status add_square(const float *x, int64_t rows, int64_t n, float *sum, int64_t ld, rv_error *err)
{
    return rv_product(n, n, rows, (rv_matrix){x, n, true}, (rv_matrix){x, n, false}, true, sum, ld, err);
}

rv_status rv_factors_add(rv_factor_rows r, float *sums, rv_error *err)
{
    const int64_t width = r.in + r.bias;
    float *g = sums + width * width, *last = sums + r.in * width;
    if (r.rows == 0)
        return RV_OK;
    RV_TRY(add_square(r.x, r.rows, r.in, sums, width, err));
    RV_TRY(add_square(r.g, r.rows, r.out, g, r.out, err));
    for (int64_t i = 0; r.bias && i < r.rows; i++)
        for (int64_t j = 0; j < r.in; j++)
            last[j] += r.x[i * r.in + j];
    if (r.bias)
        last[r.in] += (float)r.rows;
    g[r.out * r.out] += (float)r.rows;
    return RV_OK;
}
