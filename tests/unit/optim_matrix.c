/* Options of the other matrix methods that no reference trajectory covers: against plain restatements
 * of their formulas, or by what they mean. */
#include "optim_help.h"

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

/* ---- workers -------------------------------------------------------------------------- */

enum { ROWS = 260, COLS = 200, MOST = 3 };

/* Weights after some steps in float32; the large tensor's products are shared out, and the tasks are
 * of different size. */
static void walk(const char *method, const char *params, int workers, float *w)
{
    static const int64_t shapes[MOST][2] = {{8, 12}, {ROWS, COLS}, {30, 20}};
    rv_tensor tensors[MOST];
    float *g = malloc(ROWS * COLS * MOST * sizeof *g), *ws[MOST], *gs[MOST];
    rv_pool *pool;
    rv_error err;
    for (int i = 0; i < MOST; i++) {
        tensors[i] = (rv_tensor){.name = {(char)('a' + i)}, .role = RV_ROLE_HIDDEN, .shape = {2, {shapes[i][0], shapes[i][1]}}};
        ws[i] = w + i * ROWS * COLS;
        gs[i] = g + i * ROWS * COLS;
    }
    for (int i = 0; i < MOST * ROWS * COLS; i++)
        w[i] = (float)sin(0.37 * i);
    assert_int_equal(rv_pool_new(&pool, workers, NULL), RV_OK);
    const rv_optimizer_options options = {.method = method, .params = params, .pool = pool};
    rv_optimizer *optimizer;
    if (rv_optimizer_new(&optimizer, &options, tensors, MOST, (const void *const *)ws, &err) != RV_OK)
        fail_msg("%s: %s", method, err.message);
    for (int t = 0; t < 5; t++) {
        for (int i = 0; i < MOST * ROWS * COLS; i++)
            g[i] = 0.1f * w[i] + (float)cos(0.11 * i * (1 + t % 3));
        if (rv_optimizer_step(optimizer, (void *const *)ws, (const void *const *)gs, &err) != RV_OK)
            fail_msg("%s: %s", method, err.message);
    }
    rv_optimizer_free(optimizer);
    rv_pool_free(pool);
    free(g);
}

static void test_shared_products(void **state)
{
    (void)state;
    static const char *const methods[][2] = {
        {"muon", ""}, {"normuon", ""}, {"scion", ""}, {"dion", "rank=120"}, {"soap", "precondition_frequency=2"},
        {"soap", "precondition_frequency=2,stagger=true"}, {"shampoo", "precondition_frequency=2,stagger=true"},
        {"distributed_shampoo", "precondition_frequency=2,merging=none"}, {"kl_shampoo", "precondition_frequency=2"},
        {"caspr_adaptive", "precondition_frequency=2,inverse_type=eigen"}};
    const size_t bytes = MOST * ROWS * COLS * sizeof(float);
    float *one = malloc(bytes), *more = malloc(bytes);
    for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
        walk(methods[k][0], methods[k][1], 1, one);
        for (int workers = 2; workers <= 5; workers += 3) {
            walk(methods[k][0], methods[k][1], workers, more);
            if (memcmp(one, more, bytes) != 0)
                fail_msg("%s %s: other bits with %d workers", methods[k][0], methods[k][1], workers);
        }
    }
    free(one);
    free(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normuon_of_nanogpt), cmocka_unit_test(test_dion_rank_one),
        cmocka_unit_test(test_dion_seed),          cmocka_unit_test(test_scion_stays_in_the_ball),
        cmocka_unit_test(test_soap_without_bases), cmocka_unit_test(test_shared_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
