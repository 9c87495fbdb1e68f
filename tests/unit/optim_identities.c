/* Identities between methods that no tuning can make true by chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optim/matrix/blocks.h"
#include "ravine/optim.h"

enum { N = 6 };

static rv_optimizer *made(const char *method, const char *params, const rv_tensor *tensors, int count, double *const *w)
{
    const rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err;
    if (rv_optimizer_new(&optimizer, &options, tensors, count, (const void *const *)w, &err) != RV_OK)
        fail_msg("%s", err.message);
    return optimizer;
}

static void step(rv_optimizer *optimizer, double *const *w, double *const *g)
{
    rv_error err;
    if (rv_optimizer_step(optimizer, (void *const *)w, (const void *const *)g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static const rv_tensor square = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {N, N}}};

static void fill(double *x, int n, double phase)
{
    for (int i = 0; i < n; i++)
        x[i] = sin(1.7 * i * i + phase) + 0.1 * i;
}

/* Shampoo's first step without epsilon is lr U V': the step times its transpose is lr^2 I. */
static void test_shampoo_first_step(void **state)
{
    (void)state;
    double w[N * N] = {0}, g[N * N], *ws[] = {w}, *gs[] = {g};
    fill(g, N * N, 0.3);
    rv_optimizer *optimizer = made("shampoo", "lr=1,epsilon=1e-14", &square, 1, ws);
    step(optimizer, ws, gs);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += w[i * N + k] * w[j * N + k];
            assert_true(fabs(sum - (i == j)) < 1e-6);
        }
    double along = 0; /* and it points along the gradient: <w, g> = -(sum of singular values) < 0 */
    for (int i = 0; i < N * N; i++)
        along += w[i] * g[i];
    assert_true(along < -1);
    rv_optimizer_free(optimizer);
}

/* A tensor cut into blocks moves as its blocks would on their own. */
static void test_shampoo_blocks(void **state)
{
    (void)state;
    enum { ROWS = 5, COLS = 7, LIMIT = 3 };
    const rv_tensor whole = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {ROWS, COLS}}};
    double w[ROWS * COLS], g[ROWS * COLS], *ws[] = {w}, *gs[] = {g}, parts[6][9], part_g[6][9];
    double *pws[6], *pgs[6];
    rv_tensor small[6];
    rv_subblock block[6];
    const rv_blocking how = {.limit = LIMIT, .merge_to = 1};
    fill(w, ROWS * COLS, 1);
    assert_int_equal(rv_blocks_count(&whole, &how), 6);
    for (int b = 0; b < 6; b++) {
        rv_block_find(&whole, &how, b, &block[b]);
        small[b] = (rv_tensor){.role = RV_ROLE_HIDDEN, .shape = {2, {block[b].length[0], block[b].length[1]}}};
        snprintf(small[b].name, sizeof small[b].name, "part%d", b);
        pws[b] = parts[b];
        pgs[b] = part_g[b];
        for (int64_t r = 0; r < block[b].rows; r++)
            memcpy(parts[b] + r * block[b].columns, w + rv_block_offset(&block[b], r), (size_t)block[b].columns * 8);
    }
    rv_optimizer *one = made("shampoo", "lr=0.1,max_preconditioner_dim=3,momentum=0.5,weight_decay=0.1,grafting=adagrad",
                             &whole, 1, ws);
    rv_optimizer *six = made("shampoo", "lr=0.1,momentum=0.5,weight_decay=0.1,grafting=adagrad", small, 6, pws);
    for (int t = 0; t < 5; t++) {
        fill(g, ROWS * COLS, t);
        for (int b = 0; b < 6; b++)
            for (int64_t r = 0; r < block[b].rows; r++)
                memcpy(part_g[b] + r * block[b].columns, g + rv_block_offset(&block[b], r), (size_t)block[b].columns * 8);
        step(one, ws, gs);
        step(six, pws, pgs);
    }
    for (int b = 0; b < 6; b++)
        for (int64_t r = 0; r < block[b].rows; r++)
            assert_memory_equal(parts[b] + r * block[b].columns, w + rv_block_offset(&block[b], r),
                                (size_t)block[b].columns * 8);
    rv_optimizer_free(one);
    rv_optimizer_free(six);
}

/* A table with many rows is cut: its factors stay small. */
static void test_shampoo_large_table(void **state)
{
    (void)state;
    const rv_tensor table = {.name = "e", .shape = {2, {50000, 64}}};
    const rv_blocking how = {.limit = 1024, .merge_to = 1};
    int64_t size, longest;
    rv_blocks_largest(&table, &how, &size, &longest);
    assert_int_equal(longest, 1024);
    assert_int_equal(rv_blocks_count(&table, &how), 49);
    /* 48 blocks of 1024 rows, one of 848, 64 columns each. */
    assert_int_equal(rv_blocks_factors(&table, &how), 48 * 1024 * 1024 + 848 * 848 + 49 * 64 * 64);
}

/* Grafting: the step is as long as the grafted method's. */
static void test_shampoo_grafting(void **state)
{
    (void)state;
    double w[N * N] = {0}, g[N * N], *ws[] = {w}, *gs[] = {g}, length = 0, norm = 0;
    fill(g, N * N, 2);
    rv_optimizer *optimizer = made("shampoo", "lr=0.25,grafting=sgd", &square, 1, ws);
    step(optimizer, ws, gs);
    for (int i = 0; i < N * N; i++) {
        length += w[i] * w[i];
        norm += g[i] * g[i];
    }
    assert_true(fabs(sqrt(length) - 0.25 * sqrt(norm)) < 1e-12 * sqrt(norm));
    rv_optimizer_free(optimizer);

    memset(w, 0, sizeof w);
    optimizer = made("shampoo", "lr=0.25,grafting=adagrad,grafting_epsilon=0", &square, 1, ws);
    step(optimizer, ws, gs);
    length = 0;
    for (int i = 0; i < N * N; i++)
        length += w[i] * w[i];
    assert_true(fabs(sqrt(length) - 0.25 * N) < 1e-12); /* every element of g/sqrt(g^2) is +-1 */
    rv_optimizer_free(optimizer);
}

/* Before the first roots Shampoo is gradient descent. */
static void test_shampoo_before_start(void **state)
{
    (void)state;
    double a[N * N], b[N * N], g[N * N], *as[] = {a}, *bs[] = {b}, *gs[] = {g};
    fill(a, N * N, 4);
    fill(b, N * N, 4);
    rv_optimizer *shampoo = made("shampoo", "lr=0.1,precondition_frequency=4", &square, 1, as);
    rv_optimizer *sgd = made("sgd", "lr=0.1", &square, 1, bs);
    for (int t = 0; t < 3; t++) {
        fill(g, N * N, t);
        step(shampoo, as, gs);
        step(sgd, bs, gs);
    }
    assert_memory_equal(a, b, sizeof a);
    fill(g, N * N, 9);
    step(shampoo, as, gs);
    step(sgd, bs, gs);
    assert_memory_not_equal(a, b, sizeof a);
    rv_optimizer_free(shampoo);
    rv_optimizer_free(sgd);
}

/* Muon's step has singular values near one: it is the same for 1000 g as for g. */
static void test_muon_forgets_scale(void **state)
{
    (void)state;
    double a[N * N] = {0}, b[N * N] = {0}, g[N * N], h[N * N], *as[] = {a}, *bs[] = {b}, *gs[] = {g}, *hs[] = {h};
    fill(g, N * N, 5);
    for (int i = 0; i < N * N; i++)
        h[i] = 1000 * g[i];
    rv_optimizer *first = made("muon", NULL, &square, 1, as), *second = made("muon", NULL, &square, 1, bs);
    step(first, as, gs);
    step(second, bs, hs);
    for (int i = 0; i < N * N; i++)
        assert_true(fabs(a[i] - b[i]) < 1e-7);
    rv_optimizer_free(first);
    rv_optimizer_free(second);
}

/* Adam's first step is lr sign(g), whatever the scale. */
static void test_adam_first_step(void **state)
{
    (void)state;
    double w[N * N] = {0}, g[N * N], *ws[] = {w}, *gs[] = {g};
    fill(g, N * N, 6);
    rv_optimizer *optimizer = made("adamw", "lr=0.5,eps=0,weight_decay=0", &square, 1, ws);
    step(optimizer, ws, gs);
    for (int i = 0; i < N * N; i++)
        assert_true(fabs(w[i] + 0.5 * (g[i] > 0 ? 1 : -1)) < 1e-12);
    rv_optimizer_free(optimizer);
}

/* With beta1 = 1 the average is the weights themselves; the flat query also copies the gaps. */
static void test_evaluation_weights(void **state)
{
    (void)state;
    rv_tensor pair[] = {{.name = "a", .role = RV_ROLE_BIAS, .shape = {1, {3}}},
                        {.name = "b", .role = RV_ROLE_BIAS, .shape = {1, {2}}, .offset = 8}};
    const rv_layout layout = {.count = 2, .tensors = pair, .size = 16};
    static const char *const params[] = {"beta1=1", "beta1=0.5"};
    for (int k = 0; k < 2; k++) {
        double w[16] = {1, 2, 3, 0, 0, 0, 0, 0, 4, 5}, g[16] = {1, -1, 1, 0, 0, 0, 0, 0, 2, -2}, x[16];
        const double w0[16] = {1, 2, 3, 0, 0, 0, 0, 0, 4, 5};
        const rv_optimizer_options options = {.method = "schedule_free_adamw", .params = params[k], .dtype = RV_F64};
        rv_optimizer *optimizer;
        rv_error err;
        bool differs = false;
        assert_int_equal(rv_optimizer_new_flat(&optimizer, &options, &layout, w, &err), RV_OK);
        assert_int_equal(rv_optimizer_step_flat(optimizer, w, g, &err), RV_OK);
        assert_int_equal(rv_optimizer_step_flat(optimizer, w, g, &err), RV_OK);
        memset(x, 1, sizeof x);
        rv_optimizer_evaluation_weights_flat(optimizer, w, x, &differs);
        assert_true(differs);
        for (int i = 0; i < 16; i++) {
            const bool used = i < 3 || i == 8 || i == 9;
            /* beta1 1: x = y.  Otherwise y = (x + z)/2 with z two steps on, so x lies between start and y. */
            if (!used)
                assert_true(x[i] == 0);
            else if (k == 0)
                assert_true(x[i] == w[i]);
            else
                assert_true(fabs(x[i] - w0[i]) < fabs(w[i] - w0[i]) && x[i] != w0[i]);
        }
        rv_optimizer_free(optimizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shampoo_first_step),   cmocka_unit_test(test_shampoo_blocks),
        cmocka_unit_test(test_shampoo_large_table),  cmocka_unit_test(test_shampoo_grafting),
        cmocka_unit_test(test_shampoo_before_start), cmocka_unit_test(test_muon_forgets_scale),
        cmocka_unit_test(test_adam_first_step),      cmocka_unit_test(test_evaluation_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
