/* Identities and closed forms of methods that scale by norms, average or factor their state:
 * what must hold whatever the reference's numbers are. */
#include "optim_pair.h"

/* LAMB's step is lr phi(||w||) long, with phi the identity or cut at phi_max. */
static void test_lamb_length(void **state)
{
    (void)state;
    static const char *const params[] = {"lr=0.1", "lr=0.1,phi_max=0.5"};
    for (int k = 0; k < 2; k++) {
        trained t = {0};
        double before[N], moved[N];
        begin(&t, "lamb", params[k], NULL, 1);
        memcpy(before, t.m, sizeof before);
        bowl(&t);
        step(&t);
        for (int i = 0; i < N; i++)
            moved[i] = t.m[i] - before[i];
        assert_true(fabs(norm(moved, N) - 0.1 * (k ? 0.5 : norm(before, N))) < 1e-13);
        rv_optimizer_free(t.optimizer);
    }
}

/* LARS: where the learning rate stands tells only once it changes; then the old one is in the buffer. */
static void test_lars_buffer(void **state)
{
    (void)state;
    trained out = {0}, in = {0};
    double d1[N], d2[N], w2[N];
    begin(&out, "lars", "lr=0.5,adapt=always", NULL, 1);
    begin(&in, "lars", "lr=0.5,adapt=always,lr_in_buffer=true", NULL, 1);
    bowl(&out);
    bowl(&in);
    for (int i = 0; i < N; i++)
        d1[i] = out.gm[i] * 1e-3 * norm(out.m, N) / (norm(out.gm, N) + 1e-8);
    step(&out);
    step(&in);
    assert_true(apart(out.m, in.m, N) < 1e-15);
    memcpy(w2, in.m, sizeof w2);
    bowl(&in);
    for (int i = 0; i < N; i++)
        d2[i] = in.gm[i] * 1e-3 * norm(in.m, N) / (norm(in.gm, N) + 1e-8);
    rv_optimizer_set_lr_factor(in.optimizer, 0.1);
    step(&in);
    for (int i = 0; i < N; i++)
        w2[i] -= 0.9 * 0.5 * d1[i] + 0.05 * d2[i];
    assert_true(apart(in.m, w2, N) < 1e-14);
    rv_optimizer_free(out.optimizer);
    rv_optimizer_free(in.optimizer);
}

/* A product of row and column is factored exactly: Adafactor's first direction is its sign. */
static void test_adafactor_rank_one(void **state)
{
    (void)state;
    trained t = {0};
    double before[N];
    begin(&t, "adafactor", "lr=0.1", NULL, 1);
    memcpy(before, t.m, sizeof before);
    for (int i = 0; i < N; i++)
        t.gm[i] = (1 + i / COLS) * (i % 2 ? -1 : 2);
    step(&t);
    const double rate = 0.1 * norm(before, N) / sqrt(N); /* min(lr, 1/sqrt(1)) max(eps_scale, rms(w)) */
    for (int i = 0; i < N; i++)
        assert_true(fabs(before[i] - t.m[i] - rate * (t.gm[i] > 0 ? 1 : -1)) < 1e-13);
    rv_optimizer_free(t.optimizer);
}

/* The forms of timm and optax are one where axes, rate and decay are; their axes are told apart by memory. */
static void test_adafactor_forms(void **state)
{
    (void)state;
    trained timm = {0}, optax = {0};
    begin(&timm, "adafactor", "form=timm,min_dim_size_to_factor=2,beta1=0.9", NULL, 1);
    begin(&optax, "adafactor", "form=optax,min_dim_size_to_factor=3,beta1=0.9,scale_parameter=false", NULL, 1);
    for (int s = 0; s < 5; s++) {
        bowl(&timm);
        bowl(&optax);
        step(&timm);
        step(&optax);
    }
    assert_memory_equal(timm.m, optax.m, sizeof timm.m);
    rv_optimizer_free(timm.optimizer);
    rv_optimizer_free(optax.optimizer);

    /* A kernel [20, 18, 3, 5]: factored over 3 x 5, over 20 x 18 in both others. */
    static const char *const params[] = {"form=torch", "form=timm", "form=optax,min_dim_size_to_factor=16"};
    static const int64_t numbers[] = {20 * 18 * (3 + 5), 15 * (20 + 18), 15 * (20 + 18)};
    const rv_tensor kernel = {.name = "k", .role = RV_ROLE_CONV, .shape = {4, {20, 18, 3, 5}}};
    static double w[20 * 18 * 15];
    const void *const parts[] = {w};
    for (int k = 0; k < 3; k++) {
        const rv_optimizer_options options = {.method = "adafactor", .params = params[k], .dtype = RV_F64};
        rv_optimizer *optimizer;
        rv_error err;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, &kernel, 1, parts, &err), RV_OK);
        assert_int_equal(rv_optimizer_bytes(optimizer), sizeof(double) * (size_t)(1 + numbers[k]));
        rv_optimizer_free(optimizer);
    }
}

/* Two steps of Adafactor from its equations, over any pair of axes: element k of a tensor belongs to
 * the row and the column that its other indices name. */
static void plain_adafactor(const rv_shape *shape, int first, int second, const double *g, double *w)
{
    const int64_t n = rv_shape_size(shape);
    double *row = calloc((size_t)n, sizeof *row), *column = calloc((size_t)n, sizeof *column);
    double *u = calloc((size_t)n, sizeof *u), *mean = calloc((size_t)n, sizeof *mean);
    int64_t below_first = 1, below_second = 1;
    for (int k = first + 1; k < shape->rank; k++)
        below_first *= shape->dim[k];
    for (int k = second + 1; k < shape->rank; k++)
        below_second *= shape->dim[k];
    const int64_t a = shape->dim[first], b = shape->dim[second];
    for (int step = 1; step <= 2; step++) {
        const double weight = pow(step, -0.8);
        double squares = 0, size = 0;
        memset(mean, 0, (size_t)n * sizeof *mean);
        for (int64_t k = 0; k < n; k++) {
            const int64_t i = k / below_first % a, j = k / below_second % b;
            double over_b = 0, over_a = 0;
            if (j == 0) { /* a row stands at its first element, so does a column */
                for (int64_t l = 0; l < b; l++)
                    over_b += pow(g[k + l * below_second], 2) / (double)b;
                row[k] += weight * (over_b - row[k]);
            }
            if (i == 0) {
                for (int64_t l = 0; l < a; l++)
                    over_a += pow(g[k + l * below_first], 2) / (double)a;
                column[k] += weight * (over_a - column[k]);
            }
        }
        for (int64_t k = 0; k < n; k++) {
            const int64_t i = k / below_first % a, j = k / below_second % b;
            const int64_t at_row = k - j * below_second, at_column = k - i * below_first;
            if (i == 0 && j == 0)
                for (int64_t l = 0; l < a; l++)
                    mean[k] += row[k + l * below_first] / (double)a;
            u[k] = g[k] / sqrt(row[at_row] * column[at_column] / mean[at_row - i * below_first]);
            squares += u[k] * u[k] / (double)n;
            size += w[k] * w[k] / (double)n;
        }
        for (int64_t k = 0; k < n; k++)
            w[k] -= 0.01 * fmax(1e-3, sqrt(size)) * u[k] / fmax(1, sqrt(squares));
    }
    free(row);
    free(column);
    free(u);
    free(mean);
}

/* Every arrangement of axes, of sizes that are cut into several tiles, on three workers. */
static void test_adafactor_axes(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        rv_shape shape;
        int first, second;
    } cases[] = {
        {"lr=0.01", {2, {130, 1500}}, 0, 1},
        {"lr=0.01", {2, {50000, 3}}, 0, 1},
        {"lr=0.01", {4, {30, 40, 3, 5}}, 2, 3},
        {"lr=0.01", {3, {3, 70, 1100}}, 1, 2},
        {"lr=0.01,form=timm,relative_step=true", {4, {40, 30, 5, 3}}, 0, 1},
        {"lr=0.01,form=timm,relative_step=true", {4, {100, 500, 2, 2}}, 0, 1},
        {"lr=0.01,form=optax,min_dim_size_to_factor=30", {4, {2, 70, 3, 600}}, 1, 3},
        {"lr=0.01,form=optax,min_dim_size_to_factor=30", {5, {2, 80, 3, 400, 2}}, 1, 3},
    };
    rv_pool *pool;
    rv_error err;
    assert_int_equal(rv_pool_new(&pool, 3, &err), RV_OK);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const rv_tensor tensor = {.name = "w", .role = RV_ROLE_CONV, .shape = cases[c].shape};
        const int64_t n = rv_shape_size(&tensor.shape);
        double *w = calloc((size_t)n, sizeof *w), *expected = calloc((size_t)n, sizeof *w), *g = calloc((size_t)n, sizeof *g);
        for (int64_t i = 0; i < n; i++) {
            expected[i] = w[i] = sin(0.1 * (double)i);
            g[i] = cos(0.37 * (double)i) * (1 + (double)(i % 7)) + 0.5;
        }
        const rv_optimizer_options options = {
            .method = "adafactor", .params = cases[c].params, .dtype = RV_F64, .pool = pool};
        rv_optimizer *optimizer;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, (const void *const[]){w}, &err), RV_OK);
        for (int s = 0; s < 2; s++)
            assert_int_equal(rv_optimizer_step(optimizer, (void *const[]){w}, (const void *const[]){g}, &err), RV_OK);
        plain_adafactor(&tensor.shape, cases[c].first, cases[c].second, g, expected);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabs(w[i] - expected[i]) < 1e-13);
        rv_optimizer_free(optimizer);
        free(w);
        free(expected);
        free(g);
    }
    rv_pool_free(pool);
}

/* Segments that several workers share: Amos and Adam-mini on one long vector, from their equations. */
static void test_long_segments(void **state)
{
    (void)state;
    enum { LONG = 50001 };
    static double w[2][LONG], g[LONG];
    static const char *const methods[] = {"amos", "adam_mini"}, *const params[] = {"lr=0.1", "lr=0.1,blocks=tensor"};
    const rv_tensor tensor = {.name = "w", .role = RV_ROLE_BIAS, .shape = RV_SHAPE(LONG)};
    rv_pool *pool;
    rv_error err;
    double squares = 0;
    assert_int_equal(rv_pool_new(&pool, 2, &err), RV_OK);
    for (int i = 0; i < LONG; i++) {
        w[0][i] = w[1][i] = sin(i);
        g[i] = cos(0.3 * i);
        squares += g[i] * g[i] / LONG;
    }
    for (int k = 0; k < 2; k++) {
        const rv_optimizer_options options = {.method = methods[k], .params = params[k], .dtype = RV_F64, .pool = pool};
        rv_optimizer *optimizer;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, (const void *const[]){w[k]}, &err), RV_OK);
        assert_int_equal(rv_optimizer_step(optimizer, (void *const[]){w[k]}, (const void *const[]){g}, &err), RV_OK);
        rv_optimizer_free(optimizer);
        /* First steps: R = 1/g2, so y = lr^2 and D = 1 with Amos, eta 0.5; v = g2 with Adam-mini. */
        for (int i = 0; i < LONG; i++) {
            const double u = g[i] / sqrt(squares), amos = 0.5 * 0.01 * sin(i) + 0.1 * 0.5 * u;
            assert_true(fabs(w[k][i] - (sin(i) - (k == 0 ? amos : 0.1 * g[i] / (sqrt(squares) + 1e-8)))) < 1e-12);
        }
    }
    rv_pool_free(pool);
}

/* Two methods, `steps` steps on the bowl: the largest difference of their weights. */
static double compare(const char *a, const char *a_params, const char *b, const char *b_params, int steps, double scale)
{
    trained x = {0}, y = {0};
    begin(&x, a, a_params, NULL, 1);
    begin(&y, b, b_params, NULL, 1);
    for (int s = 0; s < steps; s++) {
        bowl(&x);
        bowl(&y);
        for (int i = 0; i < N; i++) {
            x.gm[i] *= scale;
            y.gm[i] *= scale;
        }
        step(&x);
        step(&y);
    }
    const double found = apart(x.m, y.m, N);
    rv_optimizer_free(x.optimizer);
    rv_optimizer_free(y.optimizer);
    return found;
}

/* Special cases that are other methods. */
static void test_special_cases(void **state)
{
    (void)state;
    /* Adam-mini with a block per element; MARS without correction and with short gradients. */
    assert_true(compare("adam_mini", "blocks=elements,weight_decay=0.1", "adamw", "weight_decay=0.1", 10, 1) < 1e-14);
    assert_true(compare("mars", "gamma=0,weight_decay=0.1,lr=0.01", "adamw",
                        "beta1=0.95,beta2=0.99,weight_decay=0.1,lr=0.01", 10, 1e-3) < 1e-14);
    /* MARS on Shampoo's type, first step: c is along g, as Muon's momentum is. */
    assert_true(compare("mars", "type=shampoo,lr=0.1,eps=1e-7", "muon", "lr=0.1", 1, 1) < 1e-6);
    /* One block per row is one rule for all where rows are alike; one block is not. */
    assert_true(compare("adam_mini", "blocks=rows", "adam_mini", "blocks=heads,heads=6", 5, 1) == 0);
    assert_true(compare("adam_mini", "blocks=rows", "adam_mini", "blocks=tensor", 5, 1) > 1e-5);
    /* The learning rate of Amos from its slots of 24 elements and 200 steps. */
    const double s = sqrt(24), q = sqrt(1 - 1 / s), early = q * log(s * (1 + q) * (1 + q));
    char params[64];
    snprintf(params, sizeof params, "lr=%.17g", sqrt(2 * (early + sqrt(2) - 1) / 200));
    assert_true(compare("amos_algoperf", "lr=1,converge_steps=200", "amos_algoperf", params, 5, 1) < 1e-14);
    /* Schedule-Free with b = 1 evaluates and trains the same weights; SGD's average of one step is SGD. */
    assert_true(compare("schedule_free_sgd", "lr=0.1,momentum=1", "sgd", "lr=0.1", 1, 1) < 1e-15);
}

/* With one learning rate x is the plain mean of the z of every step. */
static void test_average(void **state)
{
    (void)state;
    static const char *const methods[] = {"schedule_free_sgd", "schedule_free_adamw"};
    for (int k = 0; k < 2; k++) {
        trained t = {0};
        double mean[N] = {0};
        begin(&t, methods[k], "lr=0.05", NULL, 1);
        for (int s = 1; s <= 8; s++) {
            bowl(&t);
            step(&t);
            const double *z = state_of(t.optimizer, ".z.m", NULL);
            for (int i = 0; i < N; i++)
                mean[i] += (z[i] - mean[i]) / s;
        }
        const void *const w[] = {t.m};
        void *const x[] = {t.x};
        rv_optimizer_evaluation_weights(t.optimizer, w, x, NULL);
        assert_true(apart(t.x, mean, N) < 1e-13);
        rv_optimizer_free(t.optimizer);
    }
}

typedef struct batches {
    double shift; /* of the batch at hand: the gradient is (1 + i/10) w_i + shift */
    int calls;
} batches;

static rv_status shifted(void *context, rv_probe probe, const void *const *w, void *const *g, double *loss, rv_error *err)
{
    batches *b = context;
    (void)err;
    assert_int_equal(probe, RV_PROBE_GRADIENT);
    for (int i = 0; i < N; i++)
        ((double *)g[0])[i] = (1 + 0.1 * i) * ((const double *)w[0])[i] + b->shift;
    *loss = 0;
    b->calls++;
    return RV_OK;
}

/* Exact MARS of type lion, written out: g - g_before = A (w - w_before), whatever the batch. */
static void test_mars_exact(void **state)
{
    (void)state;
    trained t = {0};
    double w[N], last[N], m[N] = {0}, c[N];
    batches b = {0};
    begin(&t, "mars", "exact=true,type=lion,lr=0.01,gamma=0.1,beta1=0.5", NULL, 1);
    assert_true(rv_optimizer_wants_closure(t.optimizer));
    memcpy(w, t.m, sizeof w);
    for (int s = 0; s < 6; s++) {
        void *const ws[] = {t.m};
        const void *const gs[] = {t.gm};
        rv_error err;
        bowl(&t);
        b.shift = sin(5.0 * s);
        for (int i = 0; i < N; i++) {
            t.gm[i] += b.shift;
            const double turn = s == 0 ? t.gm[i] : (1 + 0.1 * i) * (w[i] - last[i]);
            c[i] = t.gm[i] + 0.1 * turn; /* gamma beta1/(1 - beta1) = 0.1 */
        }
        const double length = fmax(1, norm(c, N));
        memcpy(last, w, sizeof last);
        for (int i = 0; i < N; i++) {
            m[i] = 0.5 * m[i] + 0.5 * c[i] / length;
            w[i] -= 0.01 * ((m[i] > 0) - (m[i] < 0));
        }
        assert_int_equal(rv_optimizer_step_closure(t.optimizer, ws, gs, shifted, &b, &err), RV_OK);
        assert_true(apart(t.m, w, N) < 1e-14);
        assert_true(apart(state_of(t.optimizer, "mars.m.m", NULL), m, N) < 1e-13);
    }
    assert_int_equal(b.calls, 5); /* none in the first step */
    rv_optimizer_free(t.optimizer);

    /* Without a closure the second step says what it lacks; the approximate form wants none. */
    trained u = {0};
    begin(&u, "mars", "exact=true", NULL, 1);
    void *const ws[] = {u.m};
    const void *const gs[] = {u.gm};
    rv_error err;
    bowl(&u);
    assert_int_equal(rv_optimizer_step(u.optimizer, ws, gs, &err), RV_OK);
    assert_int_equal(rv_optimizer_step(u.optimizer, ws, gs, &err), RV_E_ARGUMENT);
    rv_optimizer_free(u.optimizer);
    begin(&u, "mars", "", NULL, 1);
    assert_false(rv_optimizer_wants_closure(u.optimizer));
    rv_optimizer_free(u.optimizer);
}

/* Blocks that are declared: heads of query and key, rows of value in a fused tensor. */
static void test_adam_mini_blocks(void **state)
{
    (void)state;
    rv_tensor fused = {.name = "qkv", .role = RV_ROLE_HIDDEN, .shape = {2, {12, 4}}, .parts = 3};
    double w[48], g[48];
    fill(w, 48, 0);
    fill(g, 48, 1);
    void *const ws[] = {w};
    const void *const gs[] = {g};
    const rv_optimizer_options options = {.method = "adam_mini", .params = "heads=2,beta2=0.5", .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err;
    rv_shape shape;
    assert_int_equal(rv_optimizer_new(&optimizer, &options, &fused, 1, (const void *const *)ws, &err), RV_OK);
    assert_int_equal(rv_optimizer_step(optimizer, ws, gs, &err), RV_OK);
    const double *v = state_of(optimizer, ".v.qkv", &shape);
    assert_int_equal(shape.dim[0], 2 + 2 + 4);
    for (int block = 0; block < 8; block++) { /* heads are 2 rows of 4, the rows of value one */
        const int first = block < 4 ? 8 * block : 32 + 4 * (block - 4), size = block < 4 ? 8 : 4;
        const double length = norm(g + first, size);
        assert_true(fabs(v[block] - 0.5 * length * length / size) < 1e-14);
    }
    rv_optimizer_free(optimizer);
}

/* What cannot be meant is refused. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"adam_mini", "blocks=heads"},    {"adafactor", "relative_step=true"}, {"adafactor", "form=timm,warmup_init=true"},
        {"adafactor", "beta1=0.9"},       {"lars", "nesterov=true,momentum=0"}, {"lamb", "phi_min=2,phi_max=1"},
        {"prodigy", "growth_rate=0.5"},
    };
    double w[N] = {0};
    const void *const ws[] = {w};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const rv_optimizer_options options = {.method = cases[k][0], .params = cases[k][1], .dtype = RV_F64};
        rv_optimizer *optimizer;
        rv_error err;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, pair, 1, ws, &err), RV_E_ARGUMENT);
        assert_non_null(strstr(err.message, cases[k][0]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lamb_length),        cmocka_unit_test(test_lars_buffer),
        cmocka_unit_test(test_adafactor_rank_one), cmocka_unit_test(test_adafactor_forms),
        cmocka_unit_test(test_adafactor_axes),     cmocka_unit_test(test_long_segments),
        cmocka_unit_test(test_special_cases),      cmocka_unit_test(test_average),
        cmocka_unit_test(test_adam_mini_blocks),   cmocka_unit_test(test_mars_exact),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
