/* The float32 kernels over windows, pooling and convolution, on every instruction set the processor
 * has, against their definitions in double: odd sizes, strides, padding, groups. */
#include "kernel_help.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/cpu/conv.h"
#include "tensor/kernels/cpu/pool.h"

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
        cmocka_unit_test(test_pool), cmocka_unit_test(test_conv), cmocka_unit_test(test_conv_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
