/* Products of every engine, orientation and instruction set against sums in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_help.h"
#include "tensor/kernels/cpu/dense.h"
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/linear.h"
#include "tensor/kernels/cpu/pack.h"
#include "tensor/kernels/cpu/product.h"

enum { SHAPES = 9, GUARD = 7 };
static const int64_t shapes[SHAPES][3] = {{0, 3, 2}, {3, 0, 2}, {3, 2, 0},  {1, 1, 1},   {13, 33, 7},
                                          {5, 5, 32}, {24, 64, 17}, {67, 49, 130}, {70, 65, 71}};

static double element(const float *x, int64_t ld, bool transposed, int64_t i, int64_t j)
{
    return (double)(transposed ? x[j * ld + i] : x[i * ld + j]);
}

/* c must be what it was times add, plus a b; beyond its columns untouched (5). */
static void expect(const char *isa, const int64_t s[3], const float *a, int64_t lda, bool ta, const float *b,
                   int64_t ldb, bool tb, double before, const float *c, int64_t ldc)
{
    for (int64_t i = 0; i < s[0]; i++)
        for (int64_t j = 0; j < ldc; j++) {
            double want = before, scale = 1;
            for (int64_t p = 0; j < s[1] && p < s[2]; p++) {
                const double term = element(a, lda, ta, i, p) * element(b, ldb, tb, p, j);
                want += term;
                scale += fabs(term);
            }
            if (j >= s[1])
                want = 5;
            if (!(fabs((double)c[i * ldc + j] - want) <= 1e-6 * scale))
                fail_msg("%s: %lld x %lld x %lld (%d, %d) at %lld, %lld: expected %g, found %g", isa, (long long)s[0],
                         (long long)s[1], (long long)s[2], ta, tb, (long long)i, (long long)j, want,
                         (double)c[i * ldc + j]);
        }
}

static float *result(const int64_t s[3], int64_t ldc, float value)
{
    float *c = malloc((size_t)(s[0] * ldc + 1) * sizeof *c);
    assert_non_null(c);
    for (int64_t i = 0; i < s[0] * ldc; i++)
        c[i] = i % ldc < s[1] ? value : 5;
    return c;
}

static void products(void **state)
{
    (void)state;
    for (int n = 0; n < SHAPES; n++)
        for (int mode = 0; mode < 8; mode++) {
            const bool ta = mode & 1, tb = mode & 2, add = mode & 4;
            const int64_t *s = shapes[n], lda = (ta ? s[0] : s[2]) + 3, ldb = (tb ? s[2] : s[1]) + 1;
            const int64_t ldc = s[1] + GUARD;
            float *a = filled((ta ? s[2] : s[0]) * lda, 1), *b = filled((tb ? s[1] : s[2]) * ldb, 2);
            float *c = result(s, ldc, add ? 2 : NAN);
            assert_int_equal(rv_product(s[0], s[1], s[2], (rv_matrix){a, lda, ta}, (rv_matrix){b, ldb, tb}, add, c,
                                        ldc, NULL),
                             RV_OK);
            expect("rv_product", s, a, lda, ta, b, ldb, tb, add ? 2 : 0, c, ldc);
            free(c);
            for (int i = 0; rv_cpu_isa(i) && !tb; i++) {
                const rv_cpu_kernels *k = rv_cpu_find(rv_cpu_isa(i));
                if (!k)
                    continue;
                c = result(s, ldc, add ? 2 : NAN);
                k->gemm->product(s[0], s[1], s[2], a, ta ? 1 : lda, ta ? lda : 1, b, ldb, add, c, ldc);
                expect(k->isa, s, a, lda, ta, b, ldb, tb, add ? 2 : 0, c, ldc);
                free(c);
            }
            free(a);
            free(b);
        }
}

static void transposes(void **state)
{
    (void)state;
    for (int i = 0; rv_cpu_isa(i); i++)
        for (int n = 0; rv_cpu_find(rv_cpu_isa(i)) && n < SHAPES; n++) {
            const int64_t rows = shapes[n][0], columns = shapes[n][1], ld = columns + 2, ld_to = rows + GUARD;
            float *from = filled(rows * ld, 3), *to = result((int64_t[]){columns, rows, 0}, ld_to, NAN);
            rv_cpu_find(rv_cpu_isa(i))->gemm->transpose(rows, columns, from, ld, to, ld_to);
            for (int64_t r = 0; r < columns; r++)
                for (int64_t c = 0; c < ld_to; c++)
                    assert_true(to[r * ld_to + c] == (c < rows ? from[c * ld + r] : 5));
            free(from);
            free(to);
        }
}

/* ---- bf16 ---- */

static float widened(uint16_t bits)
{
    const uint32_t whole = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &whole, sizeof x);
    return x;
}

/* Nearest, ties to even: both neighbours are at least as far; NaN and infinity stay. */
static void rounding(void **state)
{
    (void)state;
    const float special[] = {0, -0.0f, 1, -1, 1.00390625f, 1.01171875f, INFINITY, -INFINITY, NAN, 3.4e38f, 1e-40f};
    const float want[] = {0, -0.0f, 1, -1, 1, 1.015625f, INFINITY, -INFINITY, NAN, INFINITY, 9.18355e-41f};
    enum { N = sizeof special / sizeof special[0] };
    for (int i = 0; rv_cpu_isa(i); i++) {
        const rv_cpu_kernels *k = rv_cpu_find(rv_cpu_isa(i));
        uint16_t y[102]; /* a row of odd width ends with a zero */
        if (!k)
            continue;
        k->linear->round(1, N, special, y);
        for (int j = 0; j < N; j++)
            if (isnan(want[j]))
                assert_true(isnan(widened(y[j])));
            else
                assert_true(fabsf(widened(y[j]) - want[j]) <= 1e-43f || widened(y[j]) == want[j] ||
                            /* the instructions for bf16 read what is below the normal numbers as zero */
                            (k->gemm->product_bf16 && fabsf(want[j]) < FLT_MIN && widened(y[j]) == 0));
        float *x = filled(101, 4);
        k->linear->round(1, 101, x, y);
        for (int j = 0; j < 101; j++) {
            const double d = fabs((double)widened(y[j]) - (double)x[j]);
            assert_true(d <= fabs((double)widened((uint16_t)(y[j] + 1)) - (double)x[j]));
            assert_true(d <= fabs((double)widened((uint16_t)(y[j] - 1)) - (double)x[j]));
        }
        free(x);
    }
}

/* Values that bf16 holds exactly, so only the sums round; rows of odd width end with a zero. */
static uint16_t *rounded(float *x, int64_t rows, int64_t width)
{
    const int64_t ld = rv_bf16_ld(width);
    uint16_t *y = malloc((size_t)(rows * ld) * sizeof *y);
    assert_non_null(y);
    memset(y, 0x7f, (size_t)(rows * ld) * sizeof *y);
    rv_cpu()->linear->round(rows, width, x, y);
    for (int64_t i = 0; i < rows * ld; i++)
        if (i % ld < width)
            x[i / ld * width + i % ld] = widened(y[i]);
        else
            assert_int_equal(y[i], 0);
    return y;
}

static void *room(size_t size)
{
    void *p = aligned_alloc(64, (size / 64 + 1) * 64);
    assert_non_null(p);
    memset(p, 0x7f, (size / 64 + 1) * 64); /* what was there must not matter */
    return p;
}

/* Element by element, by the definition in pack.h. */
static void packs(void **state)
{
    (void)state;
    const int64_t sizes[][3] = {{1, 1, 16}, {31, 17, 16}, {32, 64, 64}, {70, 97, 48}, {33, 130, 64}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const int64_t k = sizes[s][0], n = sizes[s][1], block = sizes[s][2];
        const int64_t depth = (k + RV_PACK_DEPTH - 1) / RV_PACK_DEPTH * RV_PACK_DEPTH, width = (n + block - 1) / block * block;
        float *w = filled(k * n, 8), *turned = malloc((size_t)(k * n) * sizeof *turned);
        assert_non_null(turned);
        for (int64_t i = 0; i < k * n; i++)
            turned[i % n * k + i / n] = w[i];
        uint16_t *bits = rounded(w, 1, k * n), *to = room((size_t)(depth * width) * sizeof *to);
        for (int i = 0; rv_cpu_isa(i); i++)
            for (int way = 0; way < 2 && rv_cpu_find(rv_cpu_isa(i)); way++) {
                const struct rv_cpu_pack *pack = rv_cpu_find(rv_cpu_isa(i))->pack;
                memset(to, 0x7f, (size_t)(depth * width) * sizeof *to);
                (way ? pack->turned : pack->straight)(k, n, way ? turned : w, block, depth * block, to);
                for (int64_t p = 0; p < depth; p++)
                    for (int64_t j = 0; j < width; j++) {
                        const int64_t at = j / block * depth * block + p / RV_PACK_DEPTH * RV_PACK_DEPTH * block +
                                           p % RV_PACK_DEPTH / 2 * 2 * block + j % block * 2 + p % 2;
                        assert_int_equal(to[at], p < k && j < n ? bits[p * n + j] : 0);
                    }
            }
        free(w);
        free(turned);
        free(bits);
        free(to);
    }
}

static void check_dense(rv_dense_shape shape, bool add)
{
    const int64_t rows = shape.rows, in = shape.in, out = shape.out, ld = rv_bf16_ld(in), ld_out = rv_bf16_ld(out);
    const int64_t part = rows / shape.row_parts, weight_part = out / shape.weight_parts;
    rv_dense *dense;
    assert_int_equal(rv_dense_new(&dense, shape, true, NULL), RV_OK);
    float *x = filled(rows * in, 5), *w = filled(out * in, 6), *gy = filled(rows * out, 7);
    uint16_t *x16 = rounded(x, rows, in), *gy16 = rounded(gy, rows, out);
    free(rounded(w, out, in));
    void *packed = room(rv_dense_packed(dense)), *scratch = room(rv_dense_scratch(dense));
    float *y = result((int64_t[]){rows, out, 0}, out, 2), *gx = result((int64_t[]){rows, in, 0}, in, 2);
    float *gw = result((int64_t[]){out, in, 0}, in, 2);
    const double before = add ? 2 : 0;
    assert_int_equal(rv_dense_pack(dense, false, w, packed, NULL), RV_OK);
    assert_int_equal(rv_dense_pack(dense, true, w, packed, NULL), RV_OK);
    const int64_t block = rv_dense_block(dense);
    for (int64_t from = rows - part; from >= 0; from -= part) {
        for (int64_t r = from; r < from + part; r += block)
            assert_int_equal(rv_dense_forward(dense, packed, from + part - r < block ? from + part - r : block, x16 + r * ld,
                                              y + r * out, scratch, NULL),
                             RV_OK);
        assert_int_equal(rv_dense_data(dense, packed, part, gy16 + from * ld_out, add, gx + from * in, scratch, NULL), RV_OK);
    }
    uint32_t *gy_pairs = room((size_t)((rows + 1) / 2 * out) * sizeof *gy_pairs);
    uint32_t *x_pairs = room((size_t)((rows + 1) / 2 * in) * sizeof *x_pairs);
    rv_cpu()->gemm->pair_rows(rows, out, gy16, ld_out, gy_pairs);
    rv_cpu()->gemm->pair_rows(rows, in, x16, ld, x_pairs);
    for (int64_t from = out - weight_part; from >= 0; from -= weight_part)
        assert_int_equal(rv_dense_pairs(dense)
                             ? rv_dense_weight(dense, weight_part, gy_pairs + from, x_pairs, add, gw + from * in, scratch, NULL)
                             : rv_dense_weight(dense, weight_part, gy16 + from, x16, add, gw + from * in, scratch, NULL),
                         RV_OK);
    free(gy_pairs);
    free(x_pairs);
    expect("bf16 forward", (int64_t[]){rows, out, in}, x, in, false, w, in, true, 0, y, out);
    expect("bf16 data", (int64_t[]){rows, in, out}, gy, out, false, w, in, false, before, gx, in);
    expect("bf16 weight", (int64_t[]){out, in, rows}, gy, out, true, x, in, false, before, gw, in);
    void *const owned[] = {x, w, gy, x16, gy16, packed, scratch, y, gx, gw};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        free(owned[i]);
    rv_dense_free(dense);
}

static void dense(void **state)
{
    (void)state;
    if (!rv_dense_possible())
        skip();
    const rv_dense_shape dense_shapes[] = {{1, 1, 1, 1, 1},       {3, 5, 7, 1, 1},       {16, 784, 10, 2, 5},
                                           {64, 128, 97, 4, 1},   {65, 33, 129, 5, 43},  {100, 2, 64, 10, 16},
                                           {128, 96, 192, 2, 3},  {75, 40, 2048, 1, 4}};
    for (size_t i = 0; i < sizeof dense_shapes / sizeof dense_shapes[0]; i++) {
        check_dense(dense_shapes[i], false);
        check_dense(dense_shapes[i], true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(transposes),
        cmocka_unit_test(rounding),
        cmocka_unit_test(packs),
        cmocka_unit_test(dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
