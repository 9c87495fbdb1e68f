/* The float32 kernels of layers, on every instruction set the processor has, against
 * plain double loops: sizes 0, 1, around the vector widths, odd channel counts. */
#include "kernel_help.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/cpu/dropout.h"
#include "tensor/kernels/cpu/elementwise.h"
#include "tensor/kernels/cpu/norm.h"

static const size_t widths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100};
static const size_t row_counts[] = {0, 1, 2, 5, 8, 67};

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementwise), cmocka_unit_test(test_fold), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_moments), cmocka_unit_test(test_columns), cmocka_unit_test(test_dropout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
