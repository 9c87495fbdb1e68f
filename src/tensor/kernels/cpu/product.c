/* Choice of the engine for a product.  Measured (bench_kernels): oneDNN's sgemm leads on
 * products of some size; below that its call costs more than the sum, and the register
 * tiles of gemm.c win, which want b in rows.  OpenBLAS falls behind by up to eight times
 * on some shapes of few rows, and leads nowhere by much. */
#include "tensor/kernels/cpu/product.h"

#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/onednn.h"

/* Multiply-adds up to which the call of oneDNN does not pay. */
static const int64_t small_product = 64 * 64 * 64;

static void clear(int64_t m, int64_t n, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        memset(c + i * ldc, 0, (size_t)n * sizeof *c);
}

rv_status rv_product(int64_t m, int64_t n, int64_t k, rv_matrix a, rv_matrix b, bool add, float *c, int64_t ldc,
                     rv_error *err)
{
    if (m == 0 || n == 0)
        return RV_OK;
    if (k == 0) {
        if (!add)
            clear(m, n, c, ldc);
        return RV_OK;
    }
    if (!b.transposed && m * n * k <= small_product) {
        rv_cpu()->gemm->product(m, n, k, a.data, a.transposed ? 1 : a.ld, a.transposed ? a.ld : 1, b.data, b.ld, add,
                                c, ldc);
        return RV_OK;
    }
    const int threads = rv_onednn_threads(1);
    const dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, 1, a.data,
                                            a.ld, b.data, b.ld, add ? 1 : 0, c, ldc);
    rv_onednn_threads(threads);
    return rv_onednn_check(status, "product", err);
}
