/* Matrix products without packing or call overhead, for operands that fit the caches:
 * heads of attention, small batched products; and transposition. */
#ifndef RV_TENSOR_KERNELS_CPU_GEMM_H
#define RV_TENSOR_KERNELS_CPU_GEMM_H

#include "tensor/kernels/cpu/cpu.h"

/* Element (i, p) of a stands at a[i * a_row + p * a_column], so either order of a is served;
 * rows of b [k, n], base and c [m, n] are contiguous and ldb, ld_base, ldc apart. */
typedef struct rv_gemm_operands {
    bool pairs; /* of bf16, in the place of elements of a and b, as in product_bf16 */
    int64_t k;
    const float *a;
    int64_t a_row, a_column;
    const float *b;
    int64_t ldb;
    float weight, keep;
    const float *base;
    int64_t ld_base;
    float *c;
    int64_t ldc;
} rv_gemm_operands;

struct rv_cpu_gemm {
    /* c = keep base + weight a b; base is c or apart from it, and is not read where keep is 0.
     * The sum over p runs in order in one accumulator. */
    void (*combine)(int64_t m, int64_t n, rv_gemm_operands o);
    /* c (+)= a b. */
    void (*product)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_column,
                    const float *b, int64_t ldb, bool add, float *c, int64_t ldc);
    /* The same with pairs of bf16 in the place of elements of a and b, of which each is the sum of
     * two products; NULL: the instruction set lacks it. */
    void (*product_bf16)(int64_t m, int64_t n, int64_t pairs, const void *a, int64_t a_row, int64_t a_column,
                         const void *b, int64_t ldb, bool add, float *c, int64_t ldc);
    /* Pairs to [(rows + 1) / 2, width] of the rows 2 i and 2 i + 1 of x [rows, width] in bf16, rows ld
     * apart; what lies beyond the last row is zero. */
    void (*pair_rows)(int64_t rows, int64_t width, const uint16_t *x, int64_t ld, uint32_t *to);
    /* to [rows, columns] = from. */
    void (*copy)(int64_t rows, int64_t columns, const float *from, int64_t ld_from, float *to, int64_t ld_to);
    /* to [columns, rows] = transpose of from [rows, columns]. */
    void (*transpose)(int64_t rows, int64_t columns, const float *from, int64_t ld_from, float *to,
                      int64_t ld_to);
};

#endif
