/* Speed of every layer kernel on one core, at the shapes of the reference models:
 *     bench_layers [SECONDS]
 * GFLOP/s for convolutions, GB/s of what must be read and written for the rest, under the
 * machine's own limits of the same run; best of many repeats, SECONDS (default 0.2) a row. */
#include <stdio.h>
#include <stdlib.h>

#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/conv.h"
#include "tensor/kernels/cpu/dropout.h"
#include "tensor/kernels/cpu/elementwise.h"
#include "tensor/kernels/cpu/norm.h"
#include "tensor/kernels/cpu/pool.h"
#include "tensor/limits.h"

enum { MOST = 1 << 22 };

typedef struct bench {
    double seconds; /* for each row */
    float *a, *b, *c, *d; /* [MOST] */
    float *vectors;       /* [8, 4096] */
} bench;

static void *allocate(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) {
        fprintf(stderr, "bench_layers: out of memory\n");
        exit(1);
    }
    return p;
}

static float *numbers(size_t n)
{
    float *x = allocate(n * sizeof *x);
    const rv_random stream = {1, RV_RANDOM_PROBE, n};
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rv_random_uniform(stream, i) - 0.5f;
    return x;
}

static void row(const char *name, double best, double flops, double bytes)
{
    printf("%-44s %9.1f us", name, 1e6 * best);
    if (flops > 0)
        printf(" %8.1f GFLOP/s\n", 1e-9 * flops / best);
    else
        printf(" %8.1f GB/s\n", 1e-9 * bytes / best);
}

/* Prints the best time of statement. */
#define MEASURE(b, name, flops, bytes, statement)                             \
    do {                                                                      \
        double best_ = 1e30;                                                  \
        for (double end_ = rv_clock() + (b)->seconds; rv_clock() < end_;) {   \
            const double start_ = rv_clock();                                 \
            statement;                                                        \
            const double took_ = rv_clock() - start_;                         \
            best_ = took_ < best_ ? took_ : best_;                            \
        }                                                                     \
        row(name, best_, flops, bytes);                                       \
    } while (0)

/* ---- convolution ------------------------------------------------------ */

static void bench_conv(const bench *b, const char *name, rv_conv_shape s)
{
    rv_conv *conv;
    rv_error err;
    if (rv_conv_new(&conv, &s, &err) != RV_OK) {
        printf("%s: %s\n", name, err.message);
        return;
    }
    void *packed = allocate(rv_conv_packed(conv)), *scratch = allocate(rv_conv_scratch(conv));
    void *rounded = allocate(rv_conv_rounded(conv) + 64);
    const double flops = 2.0 * (double)(s.n * s.oh * s.ow * s.out * s.in * s.kh * s.kw);
    const rv_conv_gradients data = {.x = b->d}, more = {.x = b->d, .add_x = true}, kernel = {.kernel = b->d};
    char text[96];
    const char *type = s.bf16 ? "bf16" : "f32";
    snprintf(text, sizeof text, "conv %s %s: pack", name, type);
    MEASURE(b, text, 0, 4.0 * (double)(s.in * s.out * s.kh * s.kw), rv_conv_pack(conv, b->a, packed, NULL));
    snprintf(text, sizeof text, "conv %s %s: forward", name, type);
    MEASURE(b, text, flops, 0, rv_conv_forward(conv, packed, b->a, NULL, b->c, rounded, scratch, NULL));
    snprintf(text, sizeof text, "conv %s %s: data gradient", name, type);
    MEASURE(b, text, flops, 0, rv_conv_backward(conv, packed, b->a, rounded, b->c, &data, scratch, NULL));
    snprintf(text, sizeof text, "conv %s %s: data gradient, added", name, type);
    MEASURE(b, text, flops, 0, rv_conv_backward(conv, packed, b->a, rounded, b->c, &more, scratch, NULL));
    snprintf(text, sizeof text, "conv %s %s: kernel gradient", name, type);
    MEASURE(b, text, flops, 0, rv_conv_backward(conv, packed, b->a, rounded, b->c, &kernel, scratch, NULL));
    free(packed);
    free(scratch);
    free(rounded);
    rv_conv_free(conv);
}

static rv_conv_shape square(int64_t n, int64_t size, int64_t in, int64_t out, int stride)
{
    return (rv_conv_shape){.n = n, .h = size, .w = size, .in = in, .oh = size / stride, .ow = size / stride,
                           .out = out, .kh = 3, .kw = 3, .stride = stride, .padding = 1, .dilation = 1,
                           .groups = 1};
}

static void bench_convs(const bench *b)
{
    const struct {
        const char *name;
        rv_conv_shape shape;
    } rows[] = {{"16 x 32x32 3->16", square(16, 32, 3, 16, 1)},
                {"16 x 32x32 16->16", square(16, 32, 16, 16, 1)},
                {"16 x 32x32 16->32 /2", square(16, 32, 16, 32, 2)},
                {"16 x 16x16 32->32", square(16, 16, 32, 32, 1)},
                {"16 x 8x8 64->64", square(16, 8, 64, 64, 1)},
                {"1 x 8x8 64->64", square(1, 8, 64, 64, 1)},
                {"16 x 28x28 1->32", square(16, 28, 1, 32, 1)}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            rv_conv_shape shape = rows[i].shape;
            shape.bf16 = bf16;
            bench_conv(b, rows[i].name, shape);
        }
}

/* ---- norms ------------------------------------------------------------ */

static void bench_rows(const bench *b, size_t rows, size_t width)
{
    const rv_norm_rows norm = {rows, width, b->a, b->vectors, true};
    const double array = 4.0 * (double)(rows * width);
    char text[96];
    snprintf(text, sizeof text, "layer norm [%zu, %zu]: forward", rows, width);
    MEASURE(b, text, 0, 2 * array,
            rv_cpu()->norm->rows_forward(&norm, b->vectors, 1e-5f, b->c, NULL, b->b));
    snprintf(text, sizeof text, "layer norm [%zu, %zu]: backward", rows, width);
    MEASURE(b, text, 0, 3 * array,
            rv_cpu()->norm->rows_backward(&norm, b->b, b->c, b->d, false, b->vectors + 4096));
}

static void bench_columns(const bench *b, size_t rows, size_t width)
{
    const struct rv_cpu_norm *norm = rv_cpu()->norm;
    const double array = 4.0 * (double)(rows * width);
    float *v = b->vectors;
    char text[96];
    snprintf(text, sizeof text, "batch norm [%zu, %zu]: moments", rows, width);
    MEASURE(b, text, 0, array, norm->column_moments(rows, width, b->a, v, v + 4096));
    snprintf(text, sizeof text, "batch norm [%zu, %zu]: normalise", rows, width);
    MEASURE(b, text, 0, 2 * array, norm->column_affine(rows, width, b->a, v, v + 4096, v + 8192, b->c));
    snprintf(text, sizeof text, "batch norm [%zu, %zu]: sums", rows, width);
    MEASURE(b, text, 0, 2 * array, norm->column_sums(rows, width, b->a, b->c, v, v + 4096, v + 8192));
    snprintf(text, sizeof text, "batch norm [%zu, %zu]: gradient", rows, width);
    MEASURE(b, text, 0, 3 * array,
            norm->column_gradient(rows, width, b->a, b->c, v, v + 4096, v + 8192, v + 12288, b->d, false));
}

/* ---- elementwise, pooling, dropout ------------------------------------ */

static void bench_elementwise(const bench *b, size_t n, size_t width)
{
    const struct rv_cpu_elementwise *e = rv_cpu()->elementwise;
    const double array = 4.0 * (double)n;
    const rv_dropout_mask mask = {{1, RV_RANDOM_DROPOUT, 1}, 0, 1u << 30, 1.25f};
    char text[96];
    snprintf(text, sizeof text, "copy [%zu]", n);
    MEASURE(b, text, 0, 2 * array, e->scale(n, n, 1, b->a, b->c, false));
    snprintf(text, sizeof text, "scale in place [%zu]", n);
    MEASURE(b, text, 0, 2 * array, e->scale(n, n, 1.0001f, b->c, b->c, false));
    snprintf(text, sizeof text, "add [%zu]", n);
    MEASURE(b, text, 0, 3 * array, e->add(n, n, b->a, b->b, b->c));
    snprintf(text, sizeof text, "add [%zu] repeated [%zu]", n, width);
    MEASURE(b, text, 0, 2 * array, e->add(n, width, b->a, b->vectors, b->c));
    snprintf(text, sizeof text, "fold [%zu] to [%zu]", n, width);
    MEASURE(b, text, 0, array, e->fold(n, width, 1, b->a, NULL, b->vectors, false));
    snprintf(text, sizeof text, "ReLU [%zu]: forward", n);
    MEASURE(b, text, 0, 2 * array, rv_cpu()->activation->forward(RV_ACT_RELU, n, b->a, b->c, NULL));
    snprintf(text, sizeof text, "ReLU [%zu]: backward", n);
    MEASURE(b, text, 0, 3 * array,
            rv_cpu()->activation->backward(RV_ACT_RELU, n, b->a, NULL, b->b, b->c, false));
    snprintf(text, sizeof text, "GELU [%zu]: forward", n);
    MEASURE(b, text, 0, 3 * array, rv_cpu()->activation->forward(RV_ACT_GELU, n, b->a, b->c, b->d));
    snprintf(text, sizeof text, "dropout [%zu]", n);
    MEASURE(b, text, 0, 2 * array, rv_cpu()->dropout->apply(&mask, n, b->a, b->c, false));
}

static void bench_pool(const bench *b)
{
    const rv_pool_shape s = {16, 28, 28, 32, 14, 14, 2, 2, 0};
    const double array = 4.0 * (double)(s.n * s.h * s.w * s.c);
    int32_t *where = allocate((size_t)(s.n * s.oh * s.ow * s.c) * sizeof *where);
    MEASURE(b, "max pool 16 x 28x28 32: forward", 0, 1.5 * array, rv_cpu()->pool->max_forward(&s, b->a, b->c, where));
    MEASURE(b, "max pool 16 x 28x28 32: backward", 0, 1.5 * array,
            rv_cpu()->pool->max_backward(&s, where, b->c, b->d, false));
    MEASURE(b, "average pool 16 x 28x28 32: forward", 0, 1.25 * array,
            rv_cpu()->pool->average_forward(&s, b->a, b->c));
    MEASURE(b, "average pool 16 x 28x28 32: backward", 0, 1.25 * array,
            rv_cpu()->pool->average_backward(&s, b->c, b->d, false));
    free(where);
}

int main(int argc, char **argv)
{
    const bench b = {argc > 1 ? atof(argv[1]) : 0.2, numbers(MOST), numbers(MOST), numbers(MOST), numbers(MOST),
                     numbers(8 * 4096)};
    rv_limits limits;
    rv_limits_measure(&limits);
    printf("limits of one core: %.0f GFLOP/s float32, %.0f GFLOP/s bf16 (%s), copy %.0f GB/s in cache, %.0f GB/s\n",
           limits.f32_gflops, limits.bf16_gflops, limits.bf16_by, limits.copy_l2_gbs, limits.copy_gbs);
    printf("instruction set: %s\n", rv_cpu()->isa);
    bench_elementwise(&b, 16 * 32 * 32 * 16, 16);
    bench_elementwise(&b, 2048 * 384, 384);
    bench_rows(&b, 256, 128);
    bench_rows(&b, 256, 384);
    bench_rows(&b, 2048, 128);
    bench_columns(&b, 16 * 32 * 32, 16);
    bench_columns(&b, 16 * 16 * 16, 32);
    bench_columns(&b, 16 * 8 * 8, 64);
    bench_pool(&b);
    bench_convs(&b);
    free(b.a);
    free(b.b);
    free(b.c);
    free(b.d);
    free(b.vectors);
    return 0;
}
