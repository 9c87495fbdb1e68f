/* Labels drawn from a model's own output: the curvature that their gradients estimate, and their bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objective/labels.h"
#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/ravine.h"

enum { EXAMPLES = 12, FEATURES = 3, CLASSES = 4 };

static double feature(int64_t example, int d)
{
    return sin(1.7 * (double)example + 2.3 * d) + 0.3 * d;
}

static void fill_features(const rv_source *source, rv_split split, const int64_t *ids, int count, rv_random augment,
                          uint64_t first, rv_dtype dtype, void *const *inputs)
{
    (void)source;
    (void)split;
    (void)augment;
    (void)first;
    for (int i = 0; i < count; i++) {
        for (int d = 0; d < FEATURES; d++) {
            const double x = ids[i] < 0 ? 0 : feature(ids[i], d);
            if (dtype == RV_F64)
                ((double *)inputs[0])[i * FEATURES + d] = x;
            else
                ((float *)inputs[0])[i * FEATURES + d] = (float)x;
        }
        ((int32_t *)inputs[1])[i] = ids[i] < 0 ? -1 : (int32_t)(ids[i] % CLASSES);
    }
}

static void free_source(rv_source *source)
{
    free(source);
}

static void build_softmax(rv_graph *graph, const rv_value *inputs, const void *params)
{
    (void)params;
    const rv_layer head = {.out = CLASSES, .role = RV_ROLE_HEAD, .weight_init = rv_init_torch_linear(1)};
    rv_nn_classify(graph, rv_nn_linear(graph, "head", inputs[0], head), inputs[1],
                   (rv_cross_entropy_options){0});
}

/* Softmax regression over twelve examples, a batch of all of them. */
static rv_objective *softmax_regression(rv_backend backend, rv_pool *pool)
{
    rv_objective *o;
    rv_error err;
    rv_source *source = calloc(1, sizeof *source);
    *source = (rv_source){.inputs = 2, .input_dtype = {RV_F32, RV_I32}, .input_shape = {RV_SHAPE(FEATURES), {0}},
                          .examples = {EXAMPLES, 4, 4}, .classes = CLASSES, .fill = fill_features, .free = free_source};
    const rv_network network = {.name = "softmax", .build = build_softmax, .source = source, .batch = EXAMPLES,
                                .shards = 4, .evaluation_rows = 4};
    if (rv_network_new(&o, &network, &(rv_workload_env){.backend = backend, .pool = pool}, &err) != RV_OK)
        fail_msg("%s", err.message);
    return o;
}

/* The diagonal of the Gauss-Newton matrix of softmax regression: mean over the examples of p (1 - p) x^2. */
static void gauss_newton(const double *w, double *diagonal)
{
    memset(diagonal, 0, CLASSES * FEATURES * sizeof *diagonal);
    for (int i = 0; i < EXAMPLES; i++) {
        double p[CLASSES], sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            double z = 0;
            for (int d = 0; d < FEATURES; d++)
                z += w[c * FEATURES + d] * feature(i, d);
            sum += p[c] = exp(z);
        }
        for (int k = 0; k < CLASSES * FEATURES; k++) {
            const double q = p[k / FEATURES] / sum, x = feature(i, k % FEATURES);
            diagonal[k] += q * (1 - q) * x * x / EXAMPLES;
        }
    }
}

/* Over many draws the gradient of sampled labels has mean zero, and its square times the batch has the
 * diagonal's, both within five standard errors in every element. */
static void test_sampled_curvature(void **state)
{
    (void)state;
    enum { N = CLASSES * FEATURES, DRAWS = 4000, ROOM = 64 };
    rv_error err;
    rv_objective *o = softmax_regression(RV_BACKEND_REF, NULL);
    double w[ROOM] = {0}, g[ROOM], exact[N], loss, sum[2][N] = {{0}}, square[2][N] = {{0}};
    assert_int_equal(rv_shape_size(&o->layout->tensors[0].shape), N);
    assert_true(o->layout->count == 1 && o->layout->size <= ROOM);
    for (int k = 0; k < N; k++)
        w[k] = 0.8 * cos(1.1 * k);
    gauss_newton(w, exact);
    for (uint64_t step = 0; step < DRAWS; step++) {
        assert_int_equal(rv_objective_sampled_grad(o, w, (rv_batch){.seed = 1, .step = step, .parts = 1}, g, &loss, &err), RV_OK);
        for (int k = 0; k < N; k++) {
            const double found[2] = {g[k], EXAMPLES * g[k] * g[k]};
            for (int j = 0; j < 2; j++) {
                sum[j][k] += found[j] / DRAWS;
                square[j][k] += found[j] * found[j] / DRAWS;
            }
        }
    }
    for (int k = 0; k < N; k++)
        for (int j = 0; j < 2; j++) {
            const double error = sqrt((square[j][k] - sum[j][k] * sum[j][k]) / DRAWS);
            assert_true(fabs(sum[j][k] - (j == 0 ? 0 : exact[k])) < 5 * error);
        }
    rv_objective_free(o);
}

/* The same labels for any number of workers, other ones in another step; the data's own come back. */
static void test_sampled_bits(void **state)
{
    (void)state;
    enum { N = CLASSES * FEATURES, ROOM = 64 };
    rv_error err;
    float w[ROOM] = {0}, first[ROOM] = {0}, g[ROOM] = {0}, own[ROOM] = {0}, again[ROOM] = {0};
    double loss;
    for (int k = 0; k < N; k++)
        w[k] = (float)cos(1.1 * k);
    const rv_batch batch = {.seed = 1, .step = 5, .parts = 1}, next = {.seed = 1, .step = 6, .parts = 1};
    for (int workers = 1; workers <= 3; workers++) {
        rv_pool *pool;
        assert_int_equal(rv_pool_new(&pool, workers, &err), RV_OK);
        rv_objective *o = softmax_regression(RV_BACKEND_CPU, pool);
        assert_int_equal(rv_objective_value_grad(o, w, batch, own, &loss, &err), RV_OK);
        assert_int_equal(rv_objective_sampled_grad(o, w, batch, workers == 1 ? first : g, &loss, &err), RV_OK);
        assert_memory_equal(first, workers == 1 ? first : g, sizeof g);
        assert_memory_not_equal(first, own, sizeof own);
        assert_int_equal(rv_objective_value_grad(o, w, batch, again, &loss, &err), RV_OK);
        assert_memory_equal(own, again, sizeof own);
        assert_int_equal(rv_objective_sampled_grad(o, w, next, g, &loss, &err), RV_OK);
        assert_memory_not_equal(first, g, sizeof g);
        rv_objective_free(o);
        rv_pool_free(pool);
    }
    static const rv_objective_methods none = {0};
    rv_objective unlabelled = {.methods = &none, .name = "quadratic"};
    assert_int_equal(rv_objective_sampled_grad(&unlabelled, w, batch, g, &loss, &err), RV_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "quadratic"));
}

/* Shares of classes, places without a label, and classes that have no probability. */
static void test_draws(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    static float logits[3 * ROWS];
    static int32_t labels[ROWS];
    const rv_random stream = {.seed = 3, .purpose = RV_RANDOM_LABELS, .step = 9};
    double count[3] = {0};
    for (int r = 0; r < ROWS; r++) {
        logits[3 * r] = 700;
        logits[3 * r + 1] = 700 + logf(3);
        logits[3 * r + 2] = -700;
        labels[r] = r % 2 == 0 ? -1 : 2;
    }
    rv_labels_draw(RV_F32, logits, labels, ROWS, 3, stream, 0);
    for (int r = 0; r < ROWS; r++) {
        if (r % 2 == 0)
            assert_int_equal(labels[r], -1);
        else
            count[labels[r]]++;
    }
    assert_true(count[2] == 0 && fabs(count[1] / (ROWS / 2) - 0.75) < 5 * sqrt(0.75 * 0.25 / (ROWS / 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_sampled_curvature),
        cmocka_unit_test(test_sampled_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
