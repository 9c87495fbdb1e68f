/* The vector functions of every instruction set against libm in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/linear.h"

enum { POINTS = 20011 }; /* not a multiple of the vector */

typedef void map(size_t n, const float *x, float *y);
typedef double truth(double x);

/* Largest relative error over [lo, hi], with an absolute floor. */
static double worst(map *f, truth *g, double lo, double hi, double floor)
{
    float *x = malloc(POINTS * sizeof *x), *y = malloc(POINTS * sizeof *y);
    assert_true(x && y);
    for (int i = 0; i < POINTS; i++)
        x[i] = (float)(lo + (hi - lo) * i / (POINTS - 1));
    f(POINTS, x, y);
    double error = 0;
    for (int i = 0; i < POINTS; i++) {
        double want = g((double)x[i]), e = fabs((double)y[i] - want) / fmax(fabs(want), fmax(floor, 1e-300));
        error = fmax(error, isnan(e) ? INFINITY : e);
    }
    free(x);
    free(y);
    return error;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double normal(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static double widened(uint16_t bits)
{
    const uint32_t whole = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &whole, sizeof x);
    return (double)x;
}

static float at(map *f, double x)
{
    float in = (float)x, out;
    f(1, &in, &out);
    return out;
}

#define assert_error(expression, limit)                                       \
    do {                                                                      \
        double error = expression;                                            \
        if (!(error < limit))                                                 \
            fail_msg("%s: %s = %.3g", k->isa, #expression, error);            \
    } while (0)

static void accuracy(void **state)
{
    (void)state;
    for (int i = 0; rv_cpu_isa(i); i++) {
        const rv_cpu_kernels *k = rv_cpu_find(rv_cpu_isa(i));
        if (!k)
            continue;
        const struct rv_cpu_activation *a = k->activation;
        assert_error(worst(a->exp, exp, -87, 88, 0), 2e-7);
        assert_error(worst(a->exp, exp, -104, -87, FLT_MIN), 2e-7);
        assert_error(worst(a->tanh, tanh, -10, 10, 0), 3e-7);
        assert_error(worst(a->tanh, tanh, -1e-3, 1e-3, 0), 3e-7);
        assert_error(worst(a->sigmoid, sigmoid, -85, 85, 0), 3e-7);
        assert_error(worst(a->log, log, 1e-30, 10, 1e-7), 2e-7);
        assert_error(worst(a->log, log, 0.9, 1.1, 1e-7), 2e-7);
        assert_error(worst(a->log, log, 1e-40, 1e-38, 0), 2e-7);
        assert_error(worst(a->softplus, softplus, -80, 80, 0), 4e-7);
        assert_error(worst(a->normal, normal, -8, 8, 1), 2e-7);
        assert_error(worst(a->normal, normal, -6, 0, 0), 5e-6);
    }
}

static void limits(void **state)
{
    (void)state;
    for (int i = 0; rv_cpu_isa(i); i++) {
        const rv_cpu_kernels *k = rv_cpu_find(rv_cpu_isa(i));
        if (!k)
            continue;
        const struct rv_cpu_activation *a = k->activation;
        map *const all[] = {a->exp, a->log, a->tanh, a->sigmoid, a->softplus, a->normal};
        for (size_t f = 0; f < sizeof all / sizeof all[0]; f++)
            assert_true(isnan(at(all[f], NAN)));
        assert_true(isinf(at(a->exp, 89.5)) && isinf(at(a->exp, INFINITY)));
        assert_true(at(a->exp, -INFINITY) == 0 && at(a->exp, 0) == 1);
        assert_true(at(a->tanh, INFINITY) == 1 && at(a->tanh, -100) == -1 && at(a->tanh, 0) == 0);
        assert_true(at(a->sigmoid, INFINITY) == 1 && at(a->sigmoid, -INFINITY) < 1e-37);
        assert_true(at(a->log, 0) == -INFINITY && isinf(at(a->log, INFINITY)) && isnan(at(a->log, -1)));
        assert_true(at(a->log, 1) == 0);
        assert_true(at(a->softplus, 1000) == 1000 && at(a->softplus, -1000) == 0);
        assert_true(at(a->normal, INFINITY) == 1 && at(a->normal, -INFINITY) == 0);
    }
}

/* ---- activations ---- */

static double act_of(rv_activation act, double x)
{
    switch (act) {
    case RV_ACT_NONE: return x;
    case RV_ACT_RELU: return fmax(x, 0);
    case RV_ACT_RELU2: return fmax(x, 0) * fmax(x, 0);
    case RV_ACT_GELU: return x * normal(x);
    case RV_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case RV_ACT_SILU: return x * sigmoid(x);
    case RV_ACT_TANH: return tanh(x);
    case RV_ACT_SIGMOID: return sigmoid(x);
    case RV_ACT_SOFTPLUS: return softplus(x);
    }
    return NAN;
}

static void activations(void **state)
{
    (void)state;
    for (int i = 0; rv_cpu_isa(i); i++) {
        const rv_cpu_kernels *k = rv_cpu_find(rv_cpu_isa(i));
        for (int act = RV_ACT_NONE; k && act <= RV_ACT_SOFTPLUS; act++) {
            enum { N = 203 };
            float x[N], y[N + 1], slope[N], gy[N], gx[N + 1];
            for (int j = 0; j < N; j++) {
                x[j] = (float)(-9 + 18.01 * j / N);
                gy[j] = (float)sin(j);
                gx[j] = 1;
            }
            y[N] = gx[N] = 123;
            k->activation->forward((rv_activation)act, N, x, y, slope);
            k->activation->backward((rv_activation)act, N, y, slope, gy, gx, true);
            k->activation->forward((rv_activation)act, 0, x, NULL, NULL);
            assert_true(y[N] == 123 && gx[N] == 123);
            for (int j = 0; j < N; j++) {
                double xj = (double)x[j], h = 1e-5, want = act_of((rv_activation)act, xj);
                double slope_want = (act_of((rv_activation)act, xj + h) - act_of((rv_activation)act, xj - h)) / (2 * h);
                assert_true(fabs((double)y[j] - want) < 1e-6 * fmax(1, fabs(want)));
                assert_true(fabs((double)gx[j] - 1 - (double)gy[j] * slope_want) < 4e-6 * fmax(1, fabs(slope_want)));
            }
        }
    }
}

/* GELU for bf16 alone: what it is off by is rounding, and the limits are right. */
static void coarse(void **state)
{
    (void)state;
    enum { N = 1201 };
    float z[N];
    uint16_t y[N + 1], slope[N + 1];
    for (int j = 0; j < N; j++)
        z[j] = (float)(-6 + 0.01 * j);
    z[0] = -1e30f, z[1] = 1e30f, z[2] = -12;
    for (int i = 0; rv_cpu_isa(i); i++) {
        const rv_cpu_kernels *k = rv_cpu_find(rv_cpu_isa(i));
        if (!k)
            continue;
        k->linear->finish(RV_ACT_GELU, 1, N, z, NULL, &(rv_linear_result){.y_bf16 = y, .slope_bf16 = slope});
        for (int j = 0; j < N; j++) {
            const double x = (double)z[j], rounding = 0x1p-8 * 1.1;
            const double want = act_of(RV_ACT_GELU, x), want_slope = normal(x) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
            assert_true(fabs(widened(y[j]) - want) <= rounding * fabs(want) + 1e-30);
            assert_true(fabs(widened(slope[j]) - want_slope) <= rounding * fabs(want_slope) + 1e-4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy),
        cmocka_unit_test(limits),
        cmocka_unit_test(activations),
        cmocka_unit_test(coarse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
