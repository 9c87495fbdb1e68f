/* Forward passes on ref against answers worked out by hand, and the messages of the
 * shape rules.  Gradients that agree with differences say nothing about either. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ravine/graph.h"

/* A graph whose operands are inputs, run once on ref. */
typedef struct trial {
    rv_graph *graph;
    const double *data[4];
    int inputs;
    rv_shard shard;
    double statistics[16];
} trial;

static void setup(trial *t)
{
    *t = (trial){.graph = rv_graph_new(), .shard = {.seed = 1, .training = true}};
    assert_non_null(t->graph);
}

static rv_value given(trial *t, const double *data, rv_shape shape)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    t->data[t->inputs] = data;
    return rv_graph_input(t->graph, names[t->inputs++], RV_F32, shape);
}

/* Runs the graph and copies the n elements of y into out. */
static void run(trial *t, rv_value y, double *out, int64_t n)
{
    rv_plan *plan;
    rv_runner *runner;
    rv_error err = {0};
    double none[16] = {0}, loss[2];
    const rv_shape shape = rv_graph_shape(t->graph, y);
    assert_int_equal(rv_graph_status(t->graph, &err), RV_OK);
    assert_int_equal(rv_shape_size(&shape), n);
    rv_graph_set_output(t->graph, "y", y);
    rv_graph_set_loss(t->graph, rv_mse(t->graph, y, y, RV_NONE));
    assert_int_equal(rv_plan_new(&plan, t->graph, (rv_plan_options){.backend = RV_BACKEND_REF}, &err), RV_OK);
    assert_true(rv_plan_buffer_size(plan) <= 16);
    assert_int_equal(rv_runner_new(&runner, plan, &err), RV_OK);
    for (int i = 0; i < t->inputs; i++) {
        const rv_shape input = rv_graph_shape(t->graph, i + 1); /* inputs are the first values */
        memcpy(rv_runner_input(runner, i), t->data[i], sizeof(double) * (size_t)rv_shape_size(&input));
    }
    assert_int_equal(rv_plan_pack(plan, none, NULL, &err), RV_OK);
    assert_int_equal(rv_runner_forward(runner, none, t->statistics, t->shard, loss, &err), RV_OK);
    if (n > 0)
        memcpy(out, rv_runner_output(runner, "y"), sizeof(double) * (size_t)n);
    rv_runner_free(runner);
    rv_plan_free(plan);
}

static void expect(trial *t, rv_value y, const double *expected, int64_t n)
{
    double found[64];
    assert_true(n <= 64);
    run(t, y, found, n);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(found[i] - expected[i]) <= 1e-12))
            fail_msg("element %lld: expected %.15g, found %.15g", (long long)i, expected[i], found[i]);
    rv_graph_free(t->graph);
}

#define ROW(...) ((const double[]){__VA_ARGS__})
#define EXPECT(t, y, ...) expect(t, y, ROW(__VA_ARGS__), sizeof ROW(__VA_ARGS__) / sizeof(double))

/* ---- norms ------------------------------------------------------------ */

static void test_row_norms(void **state)
{
    trial t;
    const double s = sqrt(1.25), r = sqrt(12.5);
    (void)state;
    setup(&t);
    const rv_value x = given(&t, ROW(1, 2, 3, 4), RV_SHAPE(1, 4));
    const rv_value gain = given(&t, ROW(1, 1, 2, 2), RV_SHAPE(4));
    const rv_value shift = given(&t, ROW(0, 10, 0, 10), RV_SHAPE(4));
    EXPECT(&t, rv_layer_norm(t.graph, x, gain, shift, 0), -1.5 / s, 10 - 0.5 / s, 1 / s, 10 + 3 / s);
    setup(&t);
    EXPECT(&t, rv_rms_norm(t.graph, given(&t, ROW(3, 4), RV_SHAPE(1, 2)), RV_NONE, 0), 3 / r, 4 / r);
    setup(&t);
    EXPECT(&t,
           rv_group_norm(t.graph, given(&t, ROW(1, 3, 10, 20), RV_SHAPE(1, 1, 1, 4)), RV_NONE, RV_NONE, 2, 0),
           -1, 1, -1, 1);
}

static void test_batch_norm(void **state)
{
    trial t;
    (void)state;
    setup(&t);
    const rv_value x = given(&t, ROW(1, 5, 3, 5), RV_SHAPE(2, 2));
    EXPECT(&t, rv_batch_norm(t.graph, x, RV_NONE, RV_NONE, 1e-30), -1, 0, 1, 0);
    const double after[] = {2, 5, 2, 0}; /* means, then variances with n / (n - 1) */
    assert_memory_equal(t.statistics, after, sizeof after);

    setup(&t);
    t.shard.training = false;
    memcpy(t.statistics, ROW(2, 1, 4, 0.25), 4 * sizeof(double));
    EXPECT(&t, rv_batch_norm(t.graph, given(&t, ROW(1, 5, 3, 5), RV_SHAPE(2, 2)), RV_NONE, RV_NONE, 0), -0.5,
           8, 0.5, 8);

    setup(&t);
    EXPECT(&t, rv_batch_norm(t.graph, given(&t, ROW(7), RV_SHAPE(1, 1)), RV_NONE, RV_NONE, 1), 0);
    assert_memory_equal(t.statistics, ROW(7, 0), 2 * sizeof(double));

    setup(&t);
    expect(&t, rv_batch_norm(t.graph, given(&t, ROW(0), RV_SHAPE(0, 1)), RV_NONE, RV_NONE, 1), NULL, 0);
    assert_memory_equal(t.statistics, ROW(0, 1), 2 * sizeof(double));
}

/* ---- images ----------------------------------------------------------- */

static const double image[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}; /* [1, 3, 3, 1] */

static void test_conv2d(void **state)
{
    static const struct {
        rv_conv_options options;
        double expected[4];
        int64_t n;
    } rows[] = {{{0}, {37, 47, 67, 77}, 4},
                {{.stride = 2, .padding = 1}, {4, 18, 36, 77}, 4},
                {{.dilation = 2}, {64}, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        trial t;
        setup(&t);
        const rv_value x = given(&t, image, RV_SHAPE(1, 3, 3, 1));
        const rv_value k = given(&t, ROW(1, 2, 3, 4), RV_SHAPE(1, 1, 2, 2));
        expect(&t, rv_conv2d(t.graph, x, k, RV_NONE, rows[i].options), rows[i].expected, rows[i].n);
    }
    trial t;
    setup(&t);
    const rv_value x = given(&t, ROW(3, 5), RV_SHAPE(1, 1, 1, 2));
    const rv_value k = given(&t, ROW(10, 100), RV_SHAPE(2, 1, 1, 1));
    const rv_value b = given(&t, ROW(1, 2), RV_SHAPE(2));
    EXPECT(&t, rv_conv2d(t.graph, x, k, b, (rv_conv_options){.groups = 2}), 31, 502);
}

static void test_pools(void **state)
{
    trial t;
    (void)state;
    setup(&t);
    EXPECT(&t, rv_max_pool(t.graph, given(&t, image, RV_SHAPE(1, 3, 3, 1)), 2, 1, 0), 5, 6, 8, 9);
    setup(&t);
    EXPECT(&t, rv_max_pool(t.graph, given(&t, ROW(-4, -3, -2, -1), RV_SHAPE(1, 2, 2, 1)), 2, 2, 1), -4, -3,
           -2, -1);
    setup(&t);
    EXPECT(&t, rv_average_pool(t.graph, given(&t, image, RV_SHAPE(1, 3, 3, 1)), 2, 1, 0), 3, 4, 6, 7);
    setup(&t); /* padding counts */
    EXPECT(&t, rv_average_pool(t.graph, given(&t, ROW(1, 2, 3, 4), RV_SHAPE(1, 2, 2, 1)), 3, 2, 1), 10.0 / 9);
    setup(&t);
    EXPECT(&t, rv_global_pool(t.graph, given(&t, ROW(1, 10, 3, 20), RV_SHAPE(1, 1, 2, 2))), 2, 15);
}

/* ---- attention -------------------------------------------------------- */

static void test_attention_uniform(void **state)
{
    /* Queries of zero weigh all visible keys alike. [1, 3, (q, k, v) of size 1] */
    static const double qkv[] = {0, 5, 1, 0, -3, 2, 0, 7, 6};
    trial t;
    (void)state;
    setup(&t);
    EXPECT(&t, rv_attention(t.graph, given(&t, qkv, RV_SHAPE(1, 3, 3)), (rv_attention_options){.heads = 1}),
           3, 3, 3);
    setup(&t);
    EXPECT(&t,
           rv_attention(t.graph, given(&t, qkv, RV_SHAPE(1, 3, 3)),
                        (rv_attention_options){.heads = 1, .causal = true}),
           1, 1.5, 3);
}

static void test_attention_heads(void **state)
{
    /* Two heads of size 1 over two times: head 0 sees scores, head 1 none. */
    static const double qkv[] = {1, 0, 2, 9, 10, 100, 1, 0, 4, 9, 20, 300};
    const double p = 1 / (1 + exp(2)); /* of key 0 */
    trial t;
    (void)state;
    setup(&t);
    EXPECT(&t, rv_attention(t.graph, given(&t, qkv, RV_SHAPE(1, 2, 6)), (rv_attention_options){.heads = 2}),
           10 * p + 20 * (1 - p), 200, 10 * p + 20 * (1 - p), 200);
}

static void test_attention_options(void **state)
{
    /* q = k = (3, 0) at both times, v = (1, 0) then (0, 1): out = the weights of the keys.
     * Rotation by t leaves a score of 9 cos(i - j); the norm makes it 2 (eps aside). */
    static const double qkv[] = {3, 0, 3, 0, 1, 0, 3, 0, 3, 0, 0, 1};
    const double size = sqrt(2), unit = 9 / (4.5 + 1e-6);
    const struct {
        rv_attention_options options;
        double own, other; /* scores */
    } rows[] = {
        {{.heads = 1}, 9 / size, 9 / size},
        {{.heads = 1, .rotary = true}, 9 / size, 9 * cos(1) / size},
        {{.heads = 1, .rotary = true, .qk_norm = true}, unit / size, unit * cos(1) / size},
        {{.heads = 1, .rotary = true, .soft_cap = 2}, 2 * tanh(4.5 / size), 2 * tanh(4.5 * cos(1) / size)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const double p = 1 / (1 + exp(rows[i].other - rows[i].own));
        trial t;
        setup(&t);
        EXPECT(&t, rv_attention(t.graph, given(&t, qkv, RV_SHAPE(1, 2, 6)), rows[i].options), p, 1 - p, 1 - p,
               p);
    }
}

static void test_rotary_pairs(void **state)
{
    /* Size 4 at time 1: pair (0, 2) turns by 1, pair (1, 3) by 10000^(-1/2) = 0.01.  The
     * query at time 0 is not turned, so its score with the key at time 1 shows the angles. */
    static const double keys[2][4] = {{2, 0, 0, 0}, {0, 2, 0, 0}};
    const double angle[2] = {1, 0.01};
    (void)state;
    for (int i = 0; i < 2; i++) {
        double qkv[2][3][4] = {{{0}}};
        memcpy(qkv[0][0], keys[i], sizeof keys[i]);
        memcpy(qkv[1][0], keys[i], sizeof keys[i]);
        memcpy(qkv[0][1], keys[i], sizeof keys[i]);
        memcpy(qkv[1][1], keys[i], sizeof keys[i]);
        qkv[0][2][0] = qkv[1][2][1] = 1;
        const double p = 1 / (1 + exp(2 * cos(angle[i]) - 2));
        trial t;
        setup(&t);
        EXPECT(&t,
               rv_attention(t.graph, given(&t, &qkv[0][0][0], RV_SHAPE(1, 2, 12)),
                            (rv_attention_options){.heads = 1, .rotary = true}),
               p, 1 - p, 0, 0, 1 - p, p, 0, 0);
    }
}

/* ---- dropout ---------------------------------------------------------- */

enum { MANY = 20000 };

/* Runs dropout of ones [MANY / 4, 2, 2]. */
static void drop(double *out, double rate, bool channels, rv_shard shard)
{
    double *ones = malloc(MANY * sizeof *ones);
    trial t;
    assert_non_null(ones);
    for (int i = 0; i < MANY; i++)
        ones[i] = 1;
    setup(&t);
    t.shard = shard;
    run(&t, rv_dropout(t.graph, given(&t, ones, RV_SHAPE(MANY / 4, 2, 2)), rate, channels), out, MANY);
    rv_graph_free(t.graph);
    free(ones);
}

static void test_dropout(void **state)
{
    static double y[MANY], other[MANY];
    const rv_shard shard = {.seed = 1, .step = 2, .shard = 3, .training = true};
    int kept = 0;
    (void)state;
    drop(y, 0.2, false, shard);
    for (int i = 0; i < MANY; i++) {
        assert_true(y[i] == 0 || y[i] == 1 / (1 - 0.2));
        kept += y[i] != 0;
    }
    assert_true(fabs(kept - 0.8 * MANY) < 6 * sqrt(0.16 * MANY));
    for (int k = 0; k < 3; k++) { /* each part of the key matters */
        rv_shard changed = shard;
        changed.seed += k == 0;
        changed.step += k == 1;
        changed.shard += k == 2;
        drop(other, 0.2, false, changed);
        assert_memory_not_equal(y, other, sizeof y);
    }
    drop(other, 0.2, false, shard);
    assert_memory_equal(y, other, sizeof y);

    drop(y, 0.5, true, shard); /* one draw per example and channel */
    for (int i = 0; i < MANY; i++)
        assert_true(y[i] == y[i / 4 * 4 + i % 2]);

    drop(y, 0.5, false, (rv_shard){.seed = 1, .training = false});
    for (int i = 0; i < MANY; i++)
        assert_true(y[i] == 1);
}

/* ---- messages --------------------------------------------------------- */

static rv_value blank(rv_graph *g, const char *name, rv_shape shape)
{
    return rv_graph_parameter(g, name, RV_ROLE_HIDDEN, shape, (rv_init){RV_INIT_ZERO, 0});
}

#define WITH(text, expression)                                                                               \
    do {                                                                                                     \
        rv_graph *g = rv_graph_new();                                                                        \
        rv_error err = {0};                                                                                  \
        assert_non_null(g);                                                                                  \
        rv_graph_push(g, "block0.%s", "f");                                                                  \
        expression;                                                                                          \
        rv_graph_status(g, &err);                                                                            \
        assert_string_equal(err.message, text);                                                              \
        rv_graph_free(g);                                                                                    \
    } while (0)

#define V(name, ...) blank(g, name, RV_SHAPE(__VA_ARGS__))

static void test_shape_errors(void **state)
{
    (void)state;
    WITH("conv2d 'block0.f': operand kernel: expected [16, 3, *, *], found [16, 4, 3, 3]",
         rv_conv2d(g, V("x", 2, 8, 8, 3), V("k", 16, 4, 3, 3), RV_NONE, (rv_conv_options){0}));
    WITH("conv2d 'block0.f': operand bias: expected [16], found [15]",
         rv_conv2d(g, V("x", 2, 8, 8, 3), V("k", 16, 3, 3, 3), V("b", 15), (rv_conv_options){0}));
    WITH("conv2d 'block0.f': operand x: expected channels divisible by 2 groups, found [2, 8, 8, 3]",
         rv_conv2d(g, V("x", 2, 8, 8, 3), V("k", 16, 1, 3, 3), RV_NONE, (rv_conv_options){.groups = 2}));
    WITH("conv2d 'block0.f': operand x: expected height >= 5 and width >= 5, found [2, 4, 8, 3]",
         rv_conv2d(g, V("x", 2, 4, 8, 3), V("k", 16, 3, 3, 3), RV_NONE, (rv_conv_options){.dilation = 2}));
    WITH("conv2d 'block0.f': stride: expected at least 1, found -1",
         rv_conv2d(g, V("x", 2, 4, 8, 3), V("k", 16, 3, 3, 3), RV_NONE, (rv_conv_options){.stride = -1}));
    WITH("layer_norm 'block0.f': operand gain: expected [4], found [5]",
         rv_layer_norm(g, V("x", 2, 4), V("gain", 5), RV_NONE, 1e-5));
    WITH("batch_norm 'block0.f': operand shift: expected [4], found [1, 4]",
         rv_batch_norm(g, V("x", 2, 4), V("gain", 4), V("shift", 1, 4), 1e-5));
    WITH("group_norm 'block0.f': operand x: expected a last axis divisible by 3 groups, found [2, 4]",
         rv_group_norm(g, V("x", 2, 4), RV_NONE, RV_NONE, 3, 1e-5));
    WITH("rms_norm 'block0.f': eps: expected a finite number >= 0, found -1",
         rv_rms_norm(g, V("x", 2, 4), RV_NONE, -1));
    WITH("dropout 'block0.f': rate: expected in [0, 1), found 1", rv_dropout(g, V("x", 2, 4), 1, false));
    WITH("attention 'block0.f': operand qkv: expected [*, *, 3 * 2 heads * an even size], found [2, 5, 18]",
         rv_attention(g, V("x", 2, 5, 18), (rv_attention_options){.heads = 2, .rotary = true}));
    WITH("attention 'block0.f': operand qkv: expected rank 3, found [2, 18]",
         rv_attention(g, V("x", 2, 18), (rv_attention_options){.heads = 2}));
    WITH("max_pool 'block0.f': padding: expected 0 to size / 2 = 1, found 2",
         rv_max_pool(g, V("x", 2, 4, 4, 1), 3, 1, 2));
    WITH("average_pool 'block0.f': operand x: expected height and width >= 3, found [2, 2, 4, 1]",
         rv_average_pool(g, V("x", 2, 2, 4, 1), 3, 1, 0));
    WITH("global_pool 'block0.f': operand x: expected f32, found i32",
         rv_global_pool(g, rv_graph_input(g, "x", RV_I32, RV_SHAPE(1, 2, 2, 1))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_norms),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_conv2d),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_attention_uniform),
        cmocka_unit_test(test_attention_heads),
        cmocka_unit_test(test_attention_options),
        cmocka_unit_test(test_rotary_pairs),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_shape_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
