/* Clipping by the global norm: the norm, the scale, and the same bits for any pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/optim.h"

static void test_norm_and_scale(void **state)
{
    (void)state;
    double g[16] = {3, 0, 0, 0, 0, 0, 0, 0, 4};
    const rv_layout layout = {.size = 16};
    assert_true(rv_clip_global_norm(g, &layout, RV_F64, 10, NULL) == 5);
    assert_true(g[0] == 3 && g[8] == 4);
    assert_true(rv_clip_global_norm(g, &layout, RV_F64, 2.5, NULL) == 5);
    assert_true(fabs(g[0] - 1.5) < 1e-6 && fabs(g[8] - 2) < 1e-6 && g[0] == 3 * (2.5 / (5 + 1e-6)));
}

static void test_edges(void **state)
{
    (void)state;
    float g[4] = {1, NAN, 2, 3};
    assert_true(isnan(rv_clip_global_norm(g, &(rv_layout){.size = 4}, RV_F32, 1, NULL)));
    assert_true(g[0] == 1 && g[3] == 3); /* nothing is scaled by NaN */
    assert_true(rv_clip_global_norm(g, &(rv_layout){.size = 0}, RV_F32, 1, NULL) == 0);
    float zero[4] = {0};
    assert_true(rv_clip_global_norm(zero, &(rv_layout){.size = 4}, RV_F32, 1, NULL) == 0);
    float large[2] = {3e38f, 3e38f}; /* squares beyond float */
    assert_true(fabs(rv_clip_global_norm(large, &(rv_layout){.size = 2}, RV_F32, 1, NULL) / 4.2426407e38 - 1) < 1e-6);
}

static void test_threads(void **state)
{
    (void)state;
    enum { SIZE = 300001 };
    float *a = malloc(SIZE * sizeof *a), *b = malloc(SIZE * sizeof *b);
    const rv_layout layout = {.size = SIZE};
    for (int workers = 1; workers <= 7; workers++) {
        rv_pool *pool;
        rv_error err;
        assert_int_equal(rv_pool_new(&pool, workers, &err), RV_OK);
        for (int i = 0; i < SIZE; i++)
            a[i] = b[i] = (float)sin(0.1 * i * i);
        const double alone = rv_clip_global_norm(a, &layout, RV_F32, 1, NULL);
        assert_true(alone == rv_clip_global_norm(b, &layout, RV_F32, 1, pool));
        assert_memory_equal(a, b, SIZE * sizeof *a);
        rv_pool_free(pool);
    }
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_and_scale),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
