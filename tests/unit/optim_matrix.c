/* Options of the matrix methods that no reference trajectory covers: against plain restatements
 * of their formulas, or by what they mean. */
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

static rv_optimizer *made(const char *method, const char *params, const rv_tensor *tensors, int count, double *const *w,
                          rv_pool *pool)
{
    const rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64, .pool = pool};
    rv_optimizer *optimizer;
    rv_error err;
    if (rv_optimizer_new(&optimizer, &options, tensors, count, (const void *const *)w, &err) != RV_OK)
        fail_msg("%s: %s", params, err.message);
    return optimizer;
}

static void step(rv_optimizer *optimizer, double *const *w, double *const *g)
{
    rv_error err;
    if (rv_optimizer_step(optimizer, (void *const *)w, (const void *const *)g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static void refused(const char *method, const char *params, const char *mentions)
{
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {3, 2}}};
    double w[6] = {0};
    const void *const ws[] = {w};
    const rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err = {0};
    assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, ws, &err), RV_E_ARGUMENT);
    if (!strstr(err.message, mentions))
        fail_msg("'%s' lacks '%s'", err.message, mentions);
}

static void fill(double *x, int n, double phase)
{
    for (int i = 0; i < n; i++)
        x[i] = sin(1.7 * i * i + phase) + 0.1 * i;
}

/* The array of the state called name. */
static double *state_of(rv_optimizer *optimizer, const char *name, int64_t *size)
{
    static rv_array arrays[64];
    const int count = rv_optimizer_state(optimizer, arrays, 64);
    for (int i = 0; i < count; i++)
        if (strcmp(arrays[i].name, name) == 0) {
            *size = rv_shape_size(&arrays[i].shape);
            return arrays[i].data;
        }
    fail_msg("no state %s", name);
    return NULL;
}

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

static void staggered(int workers, double (*w)[SIDE * SIDE], int *most)
{
    static const char *const params = "lr=0.1,beta1=0.9,beta2=0.9,epsilon=1e-3,merging=none,precondition_frequency=4,"
                                      "grafting=adam,stagger=true";
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
    rv_optimizer *optimizer = made("distributed_shampoo", params, tensors, MATS, ws, pool);
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
            snprintf(name, sizeof name, "distributed_shampoo.roots.m%d", i);
            const double *roots = state_of(optimizer, name, &size);
            assert_int_equal(size, 2 * SIDE * SIDE);
            for (int k = 0; k < 2; k++)
                taken += memcmp(roots + k * SIDE * SIDE, last[i] + k * SIDE * SIDE, SIDE * SIDE * sizeof *roots) != 0;
            for (int k = 0; k < 2 && t == EVERY; k++) /* all are there where preconditioning starts */
                assert_true(roots[k * SIDE * SIDE] > 0);
            memcpy(last[i], roots, sizeof last[i]);
        }
        *most = taken > *most ? taken : *most;
    }
    rv_optimizer_free(optimizer);
    rv_pool_free(pool);
}

/* Ten factors, four steps between refreshes: never more than three roots in one step, and the
 * same bits for any number of workers. */
static void test_stagger(void **state)
{
    (void)state;
    double one[MATS][SIDE * SIDE], other[MATS][SIDE * SIDE];
    int most;
    staggered(1, one, &most);
    assert_int_equal(most, 3);
    for (int workers = 2; workers <= 3; workers++) {
        staggered(workers, other, &most);
        assert_memory_equal(one, other, sizeof one);
    }
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

/* ---- Muon's relatives ------------------------------------------------------------------ */

/* x <- a x + (b A + c A^2) x with A = x x', in plain loops. */
static void polynomial(double *x, int rows, int cols, const double *c)
{
    double a[36], b[36], y[36];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            a[i * rows + j] = 0;
            for (int k = 0; k < cols; k++)
                a[i * rows + j] += x[i * cols + k] * x[j * cols + k];
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            b[i * rows + j] = c[1] * a[i * rows + j];
            for (int k = 0; k < rows; k++)
                b[i * rows + j] += c[2] * a[i * rows + k] * a[k * rows + j];
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            y[i * cols + j] = c[0] * x[i * cols + j];
            for (int k = 0; k < rows; k++)
                y[i * cols + j] += b[i * rows + k] * x[k * cols + j];
        }
    memcpy(x, y, (size_t)(rows * cols) * sizeof *x);
}

static void polar_express(double *x, int rows, int cols)
{
    static const double c[5][3] = {{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                   {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                   {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                   {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                   {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};
    double sum = 0;
    for (int i = 0; i < rows * cols; i++)
        sum += x[i] * x[i];
    for (int i = 0; i < rows * cols; i++)
        x[i] /= 1.02 * sqrt(sum) + 1e-6;
    for (int k = 0; k < 5; k++)
        polynomial(x, rows, cols, c[k]);
}

/* The step of modded-nanogpt, v [rows or cols]. */
static void nanogpt(double *w, const double *g, double *m, double *v, int rows, int cols)
{
    const double lr = 0.1, mu = 0.9, beta2 = 0.8, wd = 0.5;
    double u[36], before = 0, after = 0;
    const int n = rows * cols, length = rows >= cols ? cols : rows;
    for (int i = 0; i < n; i++) {
        m[i] += (1 - mu) * (g[i] - m[i]);
        u[i] = g[i] + mu * (m[i] - g[i]);
    }
    polar_express(u, rows, cols);
    double mean[6] = {0};
    for (int i = 0; i < n; i++) {
        mean[rows >= cols ? i / cols : i % cols] += u[i] * u[i] / length;
        before += u[i] * u[i];
    }
    for (int i = 0; i < (rows >= cols ? rows : cols); i++)
        v[i] += (1 - beta2) * (mean[i] - v[i]);
    for (int i = 0; i < n; i++) {
        u[i] /= sqrt(fmax(v[rows >= cols ? i / cols : i % cols], 1e-10));
        after += u[i] * u[i];
    }
    const double scale = sqrt(before) / fmax(sqrt(after), 1e-10), shape = sqrt(fmax(1, (double)rows / cols));
    for (int i = 0; i < n; i++) {
        u[i] *= scale;
        w[i] -= lr * shape * u[i] + (u[i] * w[i] >= 0 ? lr * lr * wd * w[i] : 0);
    }
}

static void test_normuon_of_nanogpt(void **state)
{
    (void)state;
    static const int shapes[][2] = {{5, 3}, {3, 5}, {4, 4}};
    for (int s = 0; s < 3; s++) {
        const int rows = shapes[s][0], cols = shapes[s][1], n = rows * cols;
        const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {rows, cols}}};
        double w[36], x[36], g[36], m[36] = {0}, v[6] = {0}, *ws[] = {w}, *gs[] = {g};
        fill(w, n, 1);
        fill(x, n, 1);
        rv_optimizer *optimizer = made("normuon", "lr=0.1,momentum=0.9,beta2=0.8,weight_decay=0.5,normalise=longer,"
                                       "decay=cautious,coefficients=polar_express", &tensor, 1, ws, NULL);
        for (int t = 0; t < 4; t++) {
            fill(g, n, 3 * t);
            step(optimizer, ws, gs);
            nanogpt(x, g, m, v, rows, cols);
            for (int i = 0; i < n; i++)
                assert_true(fabs(w[i] - x[i]) < 1e-12);
        }
        rv_optimizer_free(optimizer);
    }
}

/* Dion of rank one on a gradient of rank one: the step is its polar factor u v', and what stays
 * in the momentum is mu times it. */
static void test_dion_rank_one(void **state)
{
    (void)state;
    enum { R = 4, C = 3 };
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {R, C}}};
    double w[R * C] = {0}, g[R * C], u[R], v[C], *ws[] = {w}, *gs[] = {g}, nu = 0, nv = 0;
    int64_t size;
    fill(u, R, 0.3);
    fill(v, C, 1.1);
    for (int i = 0; i < R; i++)
        nu += u[i] * u[i];
    for (int j = 0; j < C; j++)
        nv += v[j] * v[j];
    for (int i = 0; i < R * C; i++)
        g[i] = u[i / C] * v[i % C];
    rv_optimizer *optimizer = made("dion", "lr=0.1,mu=0.75,rank=1,weight_decay=0,epsilon=0", &tensor, 1, ws, NULL);
    step(optimizer, ws, gs);
    const double *m = state_of(optimizer, "dion.m.m", &size);
    for (int i = 0; i < R * C; i++) {
        assert_true(fabs(w[i] + 0.1 * sqrt((double)R / C) * g[i] / sqrt(nu * nv)) < 1e-12);
        assert_true(fabs(m[i] - 0.75 * g[i]) < 1e-12);
    }
    rv_optimizer_free(optimizer);
}

/* The first basis is a function of the seed. */
static void test_dion_seed(void **state)
{
    (void)state;
    double q[3][8];
    for (uint64_t k = 0; k < 3; k++) {
        const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {5, 4}}};
        double w[20] = {0}, g[20], *ws[] = {w}, *gs[] = {g};
        const rv_optimizer_options options = {.method = "dion", .params = "rank=2", .dtype = RV_F64, .seed = k / 2};
        rv_optimizer *optimizer;
        rv_error err;
        int64_t size;
        fill(g, 20, 1);
        assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, (const void *const *)ws, &err), RV_OK);
        step(optimizer, ws, gs);
        memcpy(q[k], state_of(optimizer, "dion.q.m", &size), sizeof q[k]);
        assert_int_equal(size, 8);
        rv_optimizer_free(optimizer);
    }
    assert_memory_equal(q[0], q[1], sizeof q[0]);
    assert_memory_not_equal(q[0], q[2], sizeof q[0]);
}

/* Weights that start in Scion's ball stay in it: for the norm sign, |w| <= scale/in. */
static void test_scion_stays_in_the_ball(void **state)
{
    (void)state;
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HEAD, .shape = {2, {4, 5}}};
    double w[20], g[20], *ws[] = {w}, *gs[] = {g}, most = 0;
    for (int i = 0; i < 20; i++)
        w[i] = i % 2 ? 0.4 : -0.4;
    rv_optimizer *optimizer = made("scion", "lr=0.2,momentum=0.5,scale=2,norm=sign", &tensor, 1, ws, NULL);
    for (int t = 0; t < 60; t++) {
        fill(g, 20, t / 30);
        step(optimizer, ws, gs);
        for (int i = 0; i < 20; i++)
            most = fmax(most, fabs(w[i]));
        assert_true(most <= 0.4 + 1e-15);
    }
    for (int i = 0; i < 20; i++) /* and end on its boundary, against the gradient */
        assert_true(fabs(fabs(w[i]) - 0.4) < 1e-2 || fabs(g[i]) < 1e-6);
    rv_optimizer_free(optimizer);
}

/* SOAP without bases is Adam with eps before the bias correction, one step late. */
static void test_soap_without_bases(void **state)
{
    (void)state;
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {4, 3}}};
    double a[12], b[12], start[12], g[12], *as[] = {a}, *bs[] = {b}, *gs[] = {g};
    fill(a, 12, 1);
    fill(b, 12, 1);
    fill(start, 12, 1);
    rv_optimizer *soap = made("soap", "lr=0.1,beta1=0.9,beta2=0.99,eps=1e-3,weight_decay=0,max_preconditioner_dim=1", &tensor, 1,
                              as, NULL);
    rv_optimizer *adam = made("adamw", "lr=0.1,beta1=0.9,beta2=0.99,eps=1e-3,weight_decay=0,eps_place=before", &tensor, 1,
                              bs, NULL);
    for (int t = 0; t < 6; t++) {
        fill(g, 12, t);
        step(soap, as, gs);
        if (t == 0)
            assert_memory_equal(a, start, sizeof a);
        else
            step(adam, bs, gs);
        for (int i = 0; i < 12; i++)
            assert_true(fabs(a[i] - b[i]) < 1e-14);
    }
    rv_optimizer_free(soap);
    rv_optimizer_free(adam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),           cmocka_unit_test(test_factors_are_dense),
        cmocka_unit_test(test_override_is_read),
        cmocka_unit_test(test_one_sided),         cmocka_unit_test(test_kl_paper),
        cmocka_unit_test(test_stagger),           cmocka_unit_test(test_stagger_every_step),
        cmocka_unit_test(test_stagger_restart),
        cmocka_unit_test(test_normuon_of_nanogpt), cmocka_unit_test(test_dion_rank_one),
        cmocka_unit_test(test_dion_seed),         cmocka_unit_test(test_scion_stays_in_the_ball),
        cmocka_unit_test(test_soap_without_bases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
