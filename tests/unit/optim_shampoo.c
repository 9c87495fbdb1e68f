/* Options of the Shampoo family that no reference trajectory covers: blocks, exponents, KL-Shampoo's
 * paper form, and roots that are spread over steps. */
#include "optim_help.h"

#include "optim/matrix/blocks.h"

/* ---- blocks -------------------------------------------------------------------- */

static void check_view(rv_blocking how, int rank, const int64_t *dim)
{
    const rv_tensor kernel = {.shape = {4, {4, 3, 3, 3}}};
    const rv_shape view = rv_blocks_view(&kernel, &how);
    assert_int_equal(view.rank, rank);
    for (int k = 0; k < rank; k++)
        assert_int_equal(view.dim[k], dim[k]);
}

static void test_merging(void **state)
{
    (void)state;
    check_view((rv_blocking){.merging = RV_MERGE_NONE, .limit = 9, .merge_to = 1}, 4, (int64_t[]){4, 3, 3, 3});
    check_view((rv_blocking){.merging = RV_MERGE_RIGHT, .limit = 9, .merge_to = 1}, 3, (int64_t[]){4, 3, 9});
    check_view((rv_blocking){.merging = RV_MERGE_LEFT, .limit = 9, .merge_to = 1}, 3, (int64_t[]){4, 9, 3});
    check_view((rv_blocking){.merging = RV_MERGE_RIGHT, .limit = 1024, .merge_to = 2}, 2, (int64_t[]){4, 27});
    check_view((rv_blocking){.merging = RV_MERGE_RIGHT, .limit = 1024, .merge_to = 1}, 1, (int64_t[]){108});
    const rv_tensor ones = {.shape = {3, {1, 1, 1}}}, thin = {.shape = {3, {1, 5, 1}}};
    const rv_blocking right = {.merging = RV_MERGE_RIGHT, .limit = 1, .merge_to = 1};
    assert_int_equal(rv_blocks_view(&ones, &right).rank, 1);
    assert_int_equal(rv_blocks_view(&thin, &right).dim[0], 5);
    assert_int_equal(rv_blocks_count(&thin, &right), 5);
}

/* Factors follow each other without gaps, block by block and part by part. */
static void test_factors_are_dense(void **state)
{
    (void)state;
    static const rv_tensor tensors[] = {{.shape = {3, {7, 5, 4}}}, {.shape = {2, {12, 5}}, .parts = 3},
                                        {.shape = {1, {10}}},      {.shape = {2, {6, 6}}}};
    for (size_t t = 0; t < sizeof tensors / sizeof tensors[0]; t++)
        for (int limit = 1; limit < 8; limit++) {
            const rv_blocking how = {.limit = limit, .merge_to = 1, .bare_above = t == 0 ? 5 : 0};
            const int count = rv_blocks_count(&tensors[t], &how);
            int64_t at = 0, elements = 0;
            for (int i = 0; i < count; i++) {
                rv_subblock b;
                rv_block_find(&tensors[t], &how, i, &b);
                assert_int_equal(b.factors, at);
                at += rv_block_factors_before(&b, b.rank);
                elements += b.size;
            }
            assert_int_equal(rv_blocks_factors(&tensors[t], &how), at);
            assert_int_equal(elements, rv_shape_size(&tensors[t].shape));
        }
}

/* ---- options of the Shampoo family ------------------------------------------------ */

static void test_override_is_read(void **state)
{
    (void)state;
    refused("distributed_shampoo", "exponent_override=2", "exponent_override");
    refused("distributed_shampoo", "exponent_override=2:", "exponent_override");
    refused("distributed_shampoo", "exponent_override=2.2:0.5", "exponent_override");
    refused("distributed_shampoo", "exponent_override=9:0.5", "exponent_override");
    refused("distributed_shampoo", "exponent_override=2:0.5x", "exponent_override");
    refused("distributed_shampoo", "root=newton,exponent_override=2:0.3", "newton");
    refused("distributed_shampoo", "preconditioner=eigenvalues,grafting=adam", "grafting");
    refused("distributed_shampoo", "perturb=pseudo", "epsilon");
}

/* One-sided Shampoo is the full one of a matrix whose other side is left alone: (G G')^(-1/2) G
 * has orthonormal rows. */
static void test_one_sided(void **state)
{
    (void)state;
    enum { R = 3, C = 5 };
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {R, C}}};
    double w[R * C] = {0}, g[R * C], *ws[] = {w}, *gs[] = {g};
    fill(g, R * C, 0.4);
    rv_optimizer *optimizer = made("shampoo", "lr=1,epsilon=1e-14,exponent_override=2.0:0.5;2.1:0", &tensor, 1, ws, NULL);
    step(optimizer, ws, gs);
    for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++) {
            double sum = 0;
            for (int k = 0; k < C; k++)
                sum += w[i * C + k] * w[j * C + k];
            assert_true(fabs(sum - (i == j)) < 1e-9);
        }
    rv_optimizer_free(optimizer);
}

/* With the paper's choices the left factor of KL-Shampoo takes in G S_b^-1 G'/d_b. */
static void test_kl_paper(void **state)
{
    (void)state;
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {3, 2}}};
    const double beta = 0.9, epsilon = 1e-3;
    double w[6] = {0}, g[6], *ws[] = {w}, *gs[] = {g}, before[9], b[4];
    int64_t size;
    rv_optimizer *optimizer = made("kl_shampoo", "lr=0,beta1=0,beta2=0.9,epsilon=1e-3,merging=none,kl_mean=true,"
                                   "exponent_override=2:0.5", &tensor, 1, ws, NULL);
    fill(g, 6, 0.4);
    step(optimizer, ws, gs);
    const double *factors = state_of(optimizer, "kl_shampoo.factors.m", &size); /* 3 x 3, then 2 x 2, lower */
    assert_int_equal(size, 9 + 4);
    memcpy(before, factors, sizeof before);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            b[i * 2 + j] = (i >= j ? factors[9 + i * 2 + j] : factors[9 + j * 2 + i]) / (1 - beta) + (i == j ? epsilon : 0);
    const double det = b[0] * b[3] - b[1] * b[2], inverse[4] = {b[3] / det, -b[1] / det, -b[2] / det, b[0] / det};
    fill(g, 6, 2.1);
    step(optimizer, ws, gs);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < 2; k++)
                for (int l = 0; l < 2; l++)
                    sum += g[i * 2 + k] * inverse[k * 2 + l] * g[j * 2 + l];
            const double expected = beta * before[i * 3 + j] + (1 - beta) / 2 * sum;
            assert_true(fabs(factors[i * 3 + j] - expected) < 1e-10 * (1 + fabs(expected)));
        }
    rv_optimizer_free(optimizer);
}

/* ---- stagger ------------------------------------------------------------------------ */

enum { MATS = 5, SIDE = 6, STEPS = 11, EVERY = 4 };

/* slot: the factors' roots or bases.  most: how many of them changed in one step at most, but for the first step. */
static void staggered(const char *method, const char *slot, const char *params, int workers, double (*w)[SIDE * SIDE],
                      int *most)
{
    rv_tensor tensors[MATS];
    double g[MATS][SIDE * SIDE], *ws[MATS], *gs[MATS];
    rv_pool *pool = NULL;
    rv_error err;
    if (workers > 1)
        assert_int_equal(rv_pool_new(&pool, workers, &err), RV_OK);
    for (int i = 0; i < MATS; i++) {
        tensors[i] = (rv_tensor){.role = RV_ROLE_HIDDEN, .shape = {2, {SIDE, SIDE}}};
        snprintf(tensors[i].name, sizeof tensors[i].name, "m%d", i);
        fill(w[i], SIDE * SIDE, i);
        ws[i] = w[i];
        gs[i] = g[i];
    }
    rv_optimizer *optimizer = made(method, params, tensors, MATS, ws, pool);
    double last[MATS][2 * SIDE * SIDE] = {{0}};
    *most = 0;
    for (int t = 1; t <= STEPS; t++) {
        int taken = 0;
        for (int i = 0; i < MATS; i++)
            fill(g[i], SIDE * SIDE, 7 * t + i);
        step(optimizer, ws, gs);
        for (int i = 0; i < MATS; i++) {
            char name[64];
            int64_t size;
            snprintf(name, sizeof name, "%s.%s.m%d", method, slot, i);
            const double *roots = state_of(optimizer, name, &size);
            assert_int_equal(size, 2 * SIDE * SIDE);
            for (int k = 0; k < 2; k++)
                taken += memcmp(roots + k * SIDE * SIDE, last[i] + k * SIDE * SIDE, SIDE * SIDE * sizeof *roots) != 0;
            for (int k = 0; k < 2 && t == EVERY && strcmp(slot, "roots") == 0; k++) /* all are there at the start */
                assert_true(roots[k * SIDE * SIDE] > 0);
            memcpy(last[i], roots, sizeof last[i]);
        }
        *most = taken > *most && t > 1 ? taken : *most;
    }
    rv_optimizer_free(optimizer);
    rv_pool_free(pool);
}

/* Ten factors, four steps between refreshes: never more than three roots in one step, and the
 * same bits for any number of workers. */
static void test_stagger(void **state)
{
    (void)state;
    static const char *const params = "lr=0.1,beta1=0.9,beta2=0.9,epsilon=1e-3,merging=none,precondition_frequency=4,"
                                      "grafting=adam,stagger=true";
    double one[MATS][SIDE * SIDE], other[MATS][SIDE * SIDE];
    int most;
    staggered("distributed_shampoo", "roots", params, 1, one, &most);
    assert_int_equal(most, 3);
    for (int workers = 2; workers <= 3; workers++) {
        staggered("distributed_shampoo", "roots", params, workers, other, &most);
        assert_memory_equal(one, other, sizeof one);
    }
}

/* SOAP has all bases after its first step; then both of a tensor change in the same one, here those of two
 * tensors of five at most. */
static void test_stagger_soap(void **state)
{
    (void)state;
    double one[MATS][SIDE * SIDE], other[MATS][SIDE * SIDE];
    int most;
    staggered("soap", "bases", "precondition_frequency=4", 1, other, &most);
    assert_int_equal(most, 2 * MATS);
    staggered("soap", "bases", "precondition_frequency=4,stagger=true", 1, one, &most);
    assert_int_equal(most, 4);
    for (int workers = 2; workers <= 3; workers++) {
        staggered("soap", "bases", "precondition_frequency=4,stagger=true", workers, other, &most);
        assert_memory_equal(one, other, sizeof one);
    }
}

/* CASPR Adaptive takes both roots of a block together; the bits do not depend on the workers either.  A
 * single block has no phase and loses no bit by it. */
static void test_stagger_caspr_adaptive(void **state)
{
    (void)state;
    static const char *const params[] = {"precondition_frequency=4,start_preconditioning_step=5,stagger=true",
                                         "precondition_frequency=4,start_preconditioning_step=5"};
    double one[MATS][SIDE * SIDE], other[MATS][SIDE * SIDE], alone[2][SIDE * SIDE], g[SIDE * SIDE];
    int most;
    staggered("caspr_adaptive", "roots", params[0], 1, one, &most);
    for (int workers = 2; workers <= 3; workers++) {
        staggered("caspr_adaptive", "roots", params[0], workers, other, &most);
        assert_memory_equal(one, other, sizeof one);
    }
    staggered("caspr_adaptive", "roots", params[1], 1, other, &most);
    assert_memory_not_equal(one, other, sizeof one);
    for (int k = 0; k < 2; k++) {
        const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {SIDE, SIDE}}};
        double *w = alone[k], *gs = g;
        fill(w, SIDE * SIDE, 1);
        rv_optimizer *optimizer = made("caspr_adaptive", params[k], &tensor, 1, &w, NULL);
        for (int t = 1; t <= STEPS; t++) {
            fill(g, SIDE * SIDE, t);
            step(optimizer, &w, &gs);
        }
        rv_optimizer_free(optimizer);
    }
    assert_memory_equal(alone[0], alone[1], sizeof alone[0]);
}

/* A restart between two staggered refreshes changes no bit. */
static void test_stagger_restart(void **state)
{
    (void)state;
    static const char *const methods[] = {"distributed_shampoo", "soap"};
    static const char *const params = "lr=0.1,precondition_frequency=3,stagger=true";
    for (int m = 0; m < 2; m++) {
        const rv_tensor tensors[] = {{.name = "a", .role = RV_ROLE_HIDDEN, .shape = {2, {5, 4}}},
                                     {.name = "b", .role = RV_ROLE_HIDDEN, .shape = {2, {3, 6}}}};
        double w[2][38], g[38];
        fill(w[0], 38, 1);
        fill(w[1], 38, 1);
        double *ws[2][2] = {{w[0], w[0] + 20}, {w[1], w[1] + 20}}, *gs[] = {g, g + 20};
        rv_optimizer *whole = made(methods[m], params, tensors, 2, ws[0], NULL);
        rv_optimizer *half = made(methods[m], params, tensors, 2, ws[1], NULL);
        for (int t = 0; t < 10; t++) {
            rv_array arrays[64];
            rv_error err;
            rv_optimizer *next = made(methods[m], params, tensors, 2, ws[1], NULL);
            assert_int_equal(rv_optimizer_restore(next, arrays, rv_optimizer_state(half, arrays, 64), &err), RV_OK);
            rv_optimizer_free(half);
            half = next;
            fill(g, 38, t);
            step(whole, ws[0], gs);
            step(half, ws[1], gs);
            assert_memory_equal(w[0], w[1], sizeof w[0]);
        }
        rv_optimizer_free(whole);
        rv_optimizer_free(half);
    }
}

/* Where roots are taken in every step there is nothing to spread. */
static void test_stagger_every_step(void **state)
{
    (void)state;
    static const char *const methods[] = {"shampoo", "soap"};
    for (int m = 0; m < 2; m++) {
        const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {4, 3}}};
        double w[2][12], g[12], *ws[] = {w[0]}, *vs[] = {w[1]}, *gs[] = {g};
        fill(w[0], 12, 1);
        fill(w[1], 12, 1);
        rv_optimizer *a = made(methods[m], "precondition_frequency=1", &tensor, 1, ws, NULL);
        rv_optimizer *b = made(methods[m], "precondition_frequency=1,stagger=true", &tensor, 1, vs, NULL);
        for (int t = 0; t < 5; t++) {
            fill(g, 12, t);
            step(a, ws, gs);
            step(b, vs, gs);
        }
        assert_memory_equal(w[0], w[1], sizeof w[0]);
        rv_optimizer_free(a);
        rv_optimizer_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),          cmocka_unit_test(test_factors_are_dense),
        cmocka_unit_test(test_override_is_read), cmocka_unit_test(test_one_sided),
        cmocka_unit_test(test_kl_paper),         cmocka_unit_test(test_stagger),
        cmocka_unit_test(test_stagger_soap),     cmocka_unit_test(test_stagger_caspr_adaptive),
        cmocka_unit_test(test_stagger_restart),  cmocka_unit_test(test_stagger_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
