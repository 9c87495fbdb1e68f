/* The float32 kernels of layers, on every instruction set the processor has, against
 * plain double loops: sizes 0, 1, around the vector widths, odd channel counts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/kernels/cpu/conv.h"
#include "tensor/kernels/cpu/dropout.h"
#include "tensor/kernels/cpu/elementwise.h"
#include "tensor/kernels/cpu/norm.h"
#include "tensor/kernels/cpu/pool.h"

enum { MOST = 8192 };

static const size_t widths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100};
static const size_t row_counts[] = {0, 1, 2, 5, 8, 67};

static float a[MOST], b[MOST], c[MOST], y[MOST], z[MOST];
static double expected[MOST];

/* Numbers in (-1, 1), the same on every run. */
static void fill(float *x, size_t n, uint64_t seed)
{
    const rv_random stream = {seed, RV_RANDOM_PROBE, 0};
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * rv_random_uniform(stream, i) - 1);
}

static void assert_near(const float *found, const double *wanted, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(found[i] - wanted[i]) <= tolerance * (1 + fabs(wanted[i]))))
            fail_msg("element %zu of %zu: expected %.9g, found %.9g", i, n, wanted[i], found[i]);
}

/* Runs check for every instruction set, number of rows and width. */
static void each_size(void (*check)(const rv_cpu_kernels *cpu, size_t rows, size_t width))
{
    for (int isa = 0; rv_cpu_isa(isa); isa++) {
        const rv_cpu_kernels *cpu = rv_cpu_find(rv_cpu_isa(isa));
        for (size_t r = 0; cpu && r < sizeof row_counts / sizeof row_counts[0]; r++)
            for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
                fill(a, MOST, 1);
                fill(b, MOST, 2);
                fill(c, MOST, 3);
                fill(y, MOST, 4);
                check(cpu, row_counts[r], widths[w]);
            }
    }
}

/* ---- elementwise ------------------------------------------------------ */

static void check_elementwise(const rv_cpu_kernels *cpu, size_t rows, size_t width)
{
    const size_t n = rows * width;
    for (size_t i = 0; i < n; i++)
        expected[i] = (double)a[i] + b[i % width];
    memcpy(z, a, sizeof z);
    cpu->elementwise->add(n, width, z, b, z);
    assert_near(z, expected, n, 1e-6);
    assert_true(z[n] == a[n]);

    for (int add = 0; add < 2; add++) {
        memcpy(z, y, sizeof z);
        for (size_t i = 0; i < n; i++)
            expected[i] = (add ? y[i] : 0) + (double)a[i] * b[i % width];
        cpu->elementwise->multiply(n, width, a, b, z, add);
        assert_near(z, expected, n, 1e-6);
        assert_true(z[n] == y[n]);

        memcpy(z, y, sizeof z);
        for (size_t i = 0; i < n; i++)
            expected[i] = (add ? y[i] : 0) + 0.3 * b[i % width];
        cpu->elementwise->scale(n, width, 0.3f, b, z, add);
        assert_near(z, expected, n, 1e-6);
        assert_true(z[n] == y[n]);
    }
}

static void check_fold(const rv_cpu_kernels *cpu, size_t rows, size_t width)
{
    for (int way = 0; way < 4; way++) {
        const bool add = way & 1, weighted = way & 2;
        for (size_t j = 0; j < width; j++)
            expected[j] = add ? y[j] : 0;
        for (size_t i = 0; i < rows * width; i++)
            expected[i % width] += -0.5 * a[i] * (weighted ? b[i] : 1);
        memcpy(z, y, sizeof z);
        cpu->elementwise->fold(rows * width, width, -0.5f, a, weighted ? b : NULL, z, add);
        assert_near(z, expected, width, 1e-5);
        assert_true(z[width] == y[width]);
    }
}

/* ---- norms ------------------------------------------------------------ */

enum { EPS_INVERSE = 100 };

typedef struct row_moments {
    double mean, scale;
} row_moments;

static row_moments moments_of(const float *x, size_t n, size_t stride, bool centred)
{
    row_moments m = {0, 0};
    double var = 0;
    for (size_t i = 0; centred && i < n; i++)
        m.mean += x[i * stride] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i * stride] - m.mean) * (x[i * stride] - m.mean) / (double)n;
    m.scale = 1 / sqrt(var + 1.0 / EPS_INVERSE);
    return m;
}

static void check_rows_backward(const rv_cpu_kernels *cpu, const rv_norm_rows *norm, const float *saved)
{
    static double gx[MOST];
    const size_t width = norm->width;
    memset(expected, 0, sizeof expected); /* [2, width] */
    for (size_t r = 0; r < norm->rows; r++) {
        const float *x = a + r * width, *gy = c + r * width;
        const row_moments m = moments_of(x, width, 1, norm->centred);
        double mean_d = 0, mean_dh = 0;
        for (size_t j = 0; j < width; j++) {
            const double h = (x[j] - m.mean) * m.scale, d = gy[j] * (norm->gain ? norm->gain[j] : 1);
            mean_d += norm->centred ? d / (double)width : 0;
            mean_dh += d * h / (double)width;
            expected[j] += gy[j] * h;
            expected[width + j] += gy[j];
        }
        for (size_t j = 0; j < width; j++) {
            const double h = (x[j] - m.mean) * m.scale, d = gy[j] * (norm->gain ? norm->gain[j] : 1);
            gx[r * width + j] = y[r * width + j] + m.scale * (d - mean_d - h * mean_dh);
        }
    }
    static float sums[2 * 128];
    memcpy(z, y, sizeof z);
    cpu->norm->rows_backward(norm, saved, c, z, true, sums);
    assert_near(z, gx, norm->rows * width, 1e-5);
    assert_near(sums, expected, 2 * width, 1e-5);
}

static void check_rows(const rv_cpu_kernels *cpu, size_t rows, size_t width)
{
    static float saved[2 * 128];
    for (int way = 0; way < 4; way++) {
        const rv_norm_rows norm = {rows, width, a, way & 1 ? b : NULL, way & 2};
        const float *shift = way & 1 ? c : NULL;
        for (size_t r = 0; r < rows; r++) {
            const row_moments m = moments_of(a + r * width, width, 1, norm.centred);
            for (size_t j = 0; j < width; j++)
                expected[r * width + j] = (a[r * width + j] - m.mean) * m.scale * (norm.gain ? b[j] : 1) +
                                          (shift ? c[j] : 0);
        }
        memset(z, 0, sizeof z);
        cpu->norm->rows_forward(&norm, shift, 1.0f / EPS_INVERSE, z, NULL, saved);
        assert_near(z, expected, rows * width, 1e-5);
        assert_true(z[rows * width] == 0);
        check_rows_backward(cpu, &norm, saved);
    }
}

/* The mean may be large against the deviation: nothing may cancel. */
static void check_moments(const rv_cpu_kernels *cpu, size_t rows, size_t width)
{
    float mean[128], squares[128];
    if (rows == 0)
        return;
    for (size_t i = 0; i < rows * width; i++)
        a[i] += 1000;
    cpu->norm->column_moments(rows, width, a, mean, squares);
    for (size_t j = 0; j < width; j++) {
        const row_moments m = moments_of(a + j, rows, width, true);
        const double found = 1 / sqrt((double)squares[j] / (double)rows + 1.0 / EPS_INVERSE);
        assert_true(fabs(mean[j] - m.mean) < 1e-4);
        assert_true(fabs(found - m.scale) < 1e-4 * m.scale);
    }
}

static void check_columns(const rv_cpu_kernels *cpu, size_t rows, size_t width)
{
    static double product[128];
    float sum[128], products[128];
    memset(expected, 0, sizeof expected);
    memset(product, 0, sizeof product);
    for (size_t i = 0; i < rows * width; i++) {
        expected[i % width] += c[i];
        product[i % width] += (double)c[i] * (a[i] - (double)b[i % width]);
    }
    cpu->norm->column_sums(rows, width, a, c, b, sum, products);
    assert_near(sum, expected, width, 1e-5);
    assert_near(products, product, width, 1e-5);

    const float *mean = b, *factor = b + 128, *offset = b + 256, *slope = b + 384;
    for (size_t i = 0; i < rows * width; i++)
        expected[i] = ((double)a[i] - mean[i % width]) * factor[i % width] + offset[i % width];
    cpu->norm->column_affine(rows, width, a, mean, factor, offset, z);
    assert_near(z, expected, rows * width, 1e-5);
    for (int add = 0; add < 2; add++) {
        memcpy(z, y, sizeof z);
        for (size_t i = 0; i < rows * width; i++) {
            const size_t j = i % width;
            expected[i] = (add ? y[i] : 0) + (double)c[i] * factor[j] - offset[j] -
                          ((double)a[i] - mean[j]) * slope[j];
        }
        cpu->norm->column_gradient(rows, width, a, c, mean, factor, offset, slope, z, add);
        assert_near(z, expected, rows * width, 1e-5);
        assert_true(z[rows * width] == y[rows * width]);
    }
}

/* ---- dropout ---------------------------------------------------------- */

static void check_dropout(const rv_cpu_kernels *cpu, size_t rows, size_t width)
{
    const size_t n = rows * width;
    const uint64_t first = ((uint64_t)5 << 34) - 16; /* the low word of the index is about to wrap */
    const uint64_t thresholds[] = {0, 1u << 30, (uint64_t)1 << 32};
    for (size_t t = 0; t < 3; t++) {
        const rv_dropout_mask mask = {{123456789012345u, RV_RANDOM_DROPOUT, 77}, first, thresholds[t], 1.25f};
        for (size_t i = 0; i < n; i++) {
            uint32_t words[4];
            rv_random_block(mask.stream, first + i / 4, words);
            expected[i] = words[i % 4] >= thresholds[t] ? 1.25 * a[i] : 0;
        }
        memcpy(z, a, sizeof z);
        cpu->dropout->apply(&mask, n, z, z, false);
        assert_near(z, expected, n, 1e-6);
        assert_true(z[n] == a[n]);
    }
}

#define SIZE_TEST(name)                                                       \
    static void test_##name(void **state)                                     \
    {                                                                         \
        (void)state;                                                          \
        each_size(check_##name);                                              \
    }
SIZE_TEST(elementwise)
SIZE_TEST(fold)
SIZE_TEST(rows)
SIZE_TEST(moments)
SIZE_TEST(columns)
SIZE_TEST(dropout)

/* ---- pooling ---------------------------------------------------------- */

static int64_t tap_offset(const rv_pool_shape *s, int64_t out, int i, int j)
{
    const int64_t h = out / s->c / s->ow % s->oh * s->stride - s->padding + i;
    const int64_t w = out / s->c % s->ow * s->stride - s->padding + j;
    const int64_t n = out / s->c / s->ow / s->oh;
    return h < 0 || h >= s->h || w < 0 || w >= s->w ? -1 : ((n * s->h + h) * s->w + w) * s->c + out % s->c;
}

static void check_pool(const rv_cpu_kernels *cpu, const rv_pool_shape *s)
{
    static double mean[MOST], g_largest[MOST], g_mean[MOST];
    static int32_t where[MOST];
    const size_t outputs = (size_t)(s->n * s->oh * s->ow * s->c), inputs = (size_t)(s->n * s->h * s->w * s->c);
    const double share = 1.0 / (s->size * s->size);
    for (size_t i = 0; i < inputs; i++)
        g_largest[i] = g_mean[i] = y[i];
    for (size_t out = 0; out < outputs; out++) {
        int64_t best = -1;
        mean[out] = 0;
        for (int t = 0; t < s->size * s->size; t++) {
            const int64_t at = tap_offset(s, (int64_t)out, t / s->size, t % s->size);
            if (at < 0)
                continue;
            best = best < 0 || a[at] > a[best] ? at : best;
            mean[out] += a[at] * share;
            g_mean[at] += c[out] * share;
        }
        expected[out] = a[best];
        g_largest[best] += c[out];
    }
    cpu->pool->max_forward(s, a, z, where);
    assert_near(z, expected, outputs, 0);
    cpu->pool->average_forward(s, a, z);
    assert_near(z, mean, outputs, 1e-6);
    memcpy(z, y, sizeof z);
    cpu->pool->max_backward(s, where, c, z, true);
    assert_near(z, g_largest, inputs, 1e-6);
    memcpy(z, y, sizeof z);
    cpu->pool->average_backward(s, c, z, true);
    assert_near(z, g_mean, inputs, 1e-6);
}

static void test_pool(void **state)
{
    (void)state;
    const rv_pool_shape shapes[] = {
        {0, 4, 4, 8, 2, 2, 2, 2, 0}, {1, 1, 1, 1, 1, 1, 1, 1, 0}, {2, 5, 7, 3, 2, 3, 2, 2, 0},
        {1, 6, 5, 17, 3, 3, 3, 2, 1}, {2, 8, 8, 16, 4, 4, 2, 2, 0}, {1, 9, 7, 19, 4, 3, 3, 2, 0}};
    fill(a, MOST, 1);
    fill(c, MOST, 3);
    fill(y, MOST, 4);
    for (size_t i = 0; i < MOST; i += 3)
        a[i] = 0.5f; /* ties go to the first */
    for (int isa = 0; rv_cpu_isa(isa); isa++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            if (rv_cpu_find(rv_cpu_isa(isa)))
                check_pool(rv_cpu_find(rv_cpu_isa(isa)), &shapes[i]);
}

/* ---- convolution ------------------------------------------------------ */

static double g_x[MOST], g_kernel[MOST], g_bias[64];

/* expected and the three gradients (added to y) by the definition. */
static void convolve(const rv_conv_shape *s, const float *kernel, const float *bias)
{
    const int64_t in = s->in / s->groups, out = s->out / s->groups;
    for (int i = 0; i < MOST; i++)
        g_x[i] = g_kernel[i] = y[i];
    for (int i = 0; i < 64; i++)
        g_bias[i] = y[i];
    for (int64_t i = 0; i < s->n * s->oh * s->ow * s->out; i++) {
        const int64_t o = i % s->out, column = i / s->out % s->ow, row = i / s->out / s->ow % s->oh;
        const int64_t n = i / s->out / s->ow / s->oh;
        expected[i] = s->bias ? bias[o] : 0;
        g_bias[o] += c[i];
        for (int64_t t = 0; t < in * s->kh * s->kw; t++) {
            const int64_t h = row * s->stride - s->padding + t / s->kw % s->kh * s->dilation;
            const int64_t w = column * s->stride - s->padding + t % s->kw * s->dilation;
            if (h < 0 || h >= s->h || w < 0 || w >= s->w)
                continue;
            const int64_t x = ((n * s->h + h) * s->w + w) * s->in + o / out * in + t / s->kw / s->kh;
            const int64_t k = o * in * s->kh * s->kw + t;
            expected[i] += (double)a[x] * kernel[k];
            g_x[x] += (double)c[i] * kernel[k];
            g_kernel[k] += (double)c[i] * a[x];
        }
    }
}

static void check_conv(const rv_conv_shape *s, double tolerance)
{
    static float x[MOST], kernel[MOST], bias[64];
    rv_conv *conv;
    rv_error err;
    if (rv_conv_new(&conv, s, &err) != RV_OK)
        fail_msg("%s", err.message);
    void *packed = aligned_alloc(64, rv_conv_packed(conv)), *scratch = aligned_alloc(64, rv_conv_scratch(conv) + 64);
    void *rounded = aligned_alloc(64, rv_conv_rounded(conv) + 64);
    convolve(s, b, b + 7);
    assert_int_equal(rv_conv_pack(conv, b, packed, &err), RV_OK);
    assert_int_equal(rv_conv_forward(conv, packed, a, b + 7, z, rounded, scratch, &err), RV_OK);
    assert_near(z, expected, (size_t)(s->n * s->oh * s->ow * s->out), tolerance);
    memcpy(x, y, sizeof x);
    memcpy(kernel, y, sizeof kernel);
    memcpy(bias, y, sizeof bias);
    const rv_conv_gradients gradients = {x, kernel, s->bias ? bias : NULL, true, true, true};
    assert_int_equal(rv_conv_backward(conv, packed, a, rounded, c, &gradients, scratch, &err), RV_OK);
    assert_near(x, g_x, (size_t)(s->n * s->h * s->w * s->in), tolerance);
    assert_near(kernel, g_kernel, (size_t)(s->out * s->in / s->groups * s->kh * s->kw), tolerance);
    if (s->bias)
        assert_near(bias, g_bias, (size_t)s->out, tolerance);
    free(packed);
    free(scratch);
    free(rounded);
    rv_conv_free(conv);
}

static void test_conv(void **state)
{
    (void)state;
    const rv_conv_shape shapes[] = {
        {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, true, false},     /* the least */
        {2, 8, 8, 3, 8, 8, 16, 3, 3, 1, 1, 1, 1, true, false},    /* a first layer */
        {2, 8, 8, 16, 8, 8, 16, 3, 3, 1, 1, 1, 1, false, false},
        {1, 8, 8, 16, 4, 4, 32, 3, 3, 2, 1, 1, 1, false, false},  /* down */
        {2, 7, 5, 5, 4, 3, 7, 3, 3, 2, 1, 1, 1, true, false},     /* odd */
        {1, 9, 9, 4, 5, 5, 6, 3, 3, 1, 0, 2, 2, true, false},     /* dilated, groups */
        {1, 6, 6, 12, 6, 6, 12, 3, 3, 1, 1, 1, 12, false, false}, /* depthwise */
        {2, 5, 6, 8, 3, 3, 8, 1, 1, 2, 0, 1, 1, true, false},
        {2, 5, 3, 33, 1, 1, 3, 3, 2, 1, 0, 2, 1, true, false},    /* library faults in bf16: dilated, */
        {3, 6, 1, 45, 3, 2, 2, 5, 3, 2, 2, 1, 1, true, false}};   /* narrower than the stride */
    fill(a, MOST, 1);
    fill(b, MOST, 2);
    fill(c, MOST, 3);
    fill(y, MOST, 4);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        rv_conv_shape s = shapes[i];
        check_conv(&s, 2e-5);
        s.bf16 = true;
        check_conv(&s, 0.05); /* operands keep 8 bits; sums have up to 144 terms of order 1 */
    }
}

/* One convolution shared by several workers, each with memory of its own: the same bits. */
enum { TASKS = 16, SHARED_X = 2 * 8 * 8 * 16, SHARED_KERNEL = 16 * 16 * 9 };

typedef struct shared {
    const rv_conv *conv;
    const void *packed;
    float y[TASKS][SHARED_X], gx[TASKS][SHARED_X], gkernel[TASKS][SHARED_KERNEL];
} shared;

static void run_shared(void *context, int task, int worker)
{
    shared *s = context;
    (void)worker;
    void *scratch = aligned_alloc(64, rv_conv_scratch(s->conv) + 64), *rounded = aligned_alloc(64, 1 << 16);
    const rv_conv_gradients gradients = {.x = s->gx[task], .kernel = s->gkernel[task]};
    rv_conv_forward(s->conv, s->packed, a, NULL, s->y[task], rounded, scratch, NULL);
    rv_conv_backward(s->conv, s->packed, a, rounded, c, &gradients, scratch, NULL);
    free(scratch);
    free(rounded);
}

static void test_conv_shared(void **state)
{
    (void)state;
    const rv_conv_shape shape = {2, 8, 8, 16, 8, 8, 16, 3, 3, 1, 1, 1, 1, false, false};
    static shared s;
    rv_conv *conv;
    rv_pool *pool;
    assert_int_equal(rv_conv_new(&conv, &shape, NULL), RV_OK);
    assert_int_equal(rv_pool_new(&pool, 3, NULL), RV_OK);
    void *packed = aligned_alloc(64, rv_conv_packed(conv));
    s.conv = conv;
    s.packed = packed;
    assert_int_equal(rv_conv_pack(conv, b, packed, NULL), RV_OK);
    rv_pool_run(pool, TASKS, run_shared, &s);
    for (int i = 1; i < TASKS; i++) {
        assert_memory_equal(s.y[i], s.y[0], sizeof s.y[0]);
        assert_memory_equal(s.gx[i], s.gx[0], sizeof s.gx[0]);
        assert_memory_equal(s.gkernel[i], s.gkernel[0], sizeof s.gkernel[0]);
    }
    free(packed);
    rv_pool_free(pool);
    rv_conv_free(conv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_fold),    cmocka_unit_test(test_rows),
        cmocka_unit_test(test_moments),     cmocka_unit_test(test_columns), cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_pool),        cmocka_unit_test(test_conv),    cmocka_unit_test(test_conv_shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
