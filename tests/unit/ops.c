/* Reference kernels of products, embedding, elementwise, shape and loss operations
 * against answers worked out by hand: gradients that agree with differences say
 * nothing about what is computed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ravine/graph.h"

/* A graph over inputs, run once on ref; in evaluation unless training is set. */
typedef struct trial {
    rv_graph *graph;
    const void *data[4];
    size_t size[4]; /* of an element */
    int inputs;
    bool training;
} trial;

static trial begin(void)
{
    trial t = {.graph = rv_graph_new()};
    assert_non_null(t.graph);
    return t;
}

static rv_value given(trial *t, rv_dtype dtype, const void *data, rv_shape shape)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    t->data[t->inputs] = data;
    t->size[t->inputs] = dtype == RV_I32 ? sizeof(int32_t) : sizeof(double);
    return rv_graph_input(t->graph, names[t->inputs++], dtype, shape);
}

#define ROW(...) ((const double[]){__VA_ARGS__})
#define INTS(...) ((const int32_t[]){__VA_ARGS__})
#define F(data, ...) given(&t, RV_F32, data, RV_SHAPE(__VA_ARGS__))
#define I(data, ...) given(&t, RV_I32, data, RV_SHAPE(__VA_ARGS__))

static void expect(trial *t, rv_value y, const double *expected, int64_t n)
{
    rv_plan *plan;
    rv_runner *runner;
    rv_error err = {0};
    const rv_shape shape = rv_graph_shape(t->graph, y);
    rv_graph_set_output(t->graph, "y", y);
    if (rv_plan_new(&plan, t->graph, (rv_plan_options){.backend = RV_BACKEND_REF}, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rv_shape_size(&shape), n);
    assert_int_equal(rv_runner_new(&runner, plan, &err), RV_OK);
    for (int i = 0; i < t->inputs; i++) {
        const rv_shape input = rv_graph_shape(t->graph, i + 1); /* inputs are the first values */
        memcpy(rv_runner_input(runner, i), t->data[i], (size_t)rv_shape_size(&input) * t->size[i]);
    }
    if (rv_runner_forward(runner, NULL, NULL, (rv_shard){.training = t->training}, NULL, &err) != RV_OK)
        fail_msg("%s", err.message);
    const double *found = rv_runner_output(runner, "y");
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(found[i] - expected[i]) <= 1e-13 * (1 + fabs(expected[i]))))
            fail_msg("element %lld: expected %.17g, found %.17g", (long long)i, expected[i], found[i]);
    rv_runner_free(runner);
    rv_plan_free(plan);
    rv_graph_free(t->graph);
    *t = begin();
}

#define EXPECT(value, ...) expect(&t, value, ROW(__VA_ARGS__), sizeof ROW(__VA_ARGS__) / sizeof(double))

static void products(void **state)
{
    (void)state;
    trial t = begin();
    const double *x = ROW(1, 2, 3, 4), *w = ROW(1, 10, 2, -5, 0, 1), *b = ROW(100, 0, -2);
    EXPECT(rv_linear(t.graph, F(x, 2, 2), F(w, 3, 2), F(b, 3), RV_ACT_NONE), 121, -8, 0, 143, -14, 2);
    EXPECT(rv_linear(t.graph, F(x, 2, 2), F(w, 3, 2), RV_NONE, RV_ACT_RELU2), 441, 0, 4, 1849, 0, 16);
    const double *l = ROW(1, 2, 3, 4, 5, 6), *r = ROW(1, 0, 2, 0, 1, -1);
    EXPECT(rv_matmul(t.graph, F(l, 2, 3), F(r, 3, 2), false, false), 8, -3, 20, -6);
    EXPECT(rv_matmul(t.graph, F(l, 3, 2), F(r, 3, 2), true, false), 12, -5, 16, -6);
    EXPECT(rv_matmul(t.graph, F(l, 2, 3), F(r, 2, 3), false, true), 7, -1, 16, -1);
    EXPECT(rv_matmul(t.graph, F(l, 3, 1, 2), F(r, 3, 2, 1), false, false), 1, 6, -1);
    rv_graph_free(t.graph);
}

static void activations(void **state)
{
    (void)state;
    trial t = begin();
    /* Phi(1) and Phi(-1) to 16 digits from tables of the normal distribution. */
    const double phi = 0.8413447460685429, *x = ROW(-1, 0, 1, 2);
    const double tanh_gelu = 0.5 * (1 + tanh(sqrt(2 / acos(-1)) * 1.044715));
    EXPECT(rv_activate(t.graph, F(x, 4), RV_ACT_NONE), -1, 0, 1, 2);
    EXPECT(rv_activate(t.graph, F(x, 4), RV_ACT_RELU), 0, 0, 1, 2);
    EXPECT(rv_activate(t.graph, F(x, 4), RV_ACT_RELU2), 0, 0, 1, 4);
    EXPECT(rv_activate(t.graph, F(x, 3), RV_ACT_GELU), phi - 1, 0, phi);
    EXPECT(rv_activate(t.graph, F(x, 3), RV_ACT_GELU_TANH), tanh_gelu - 1, 0, tanh_gelu);
    EXPECT(rv_activate(t.graph, F(x, 3), RV_ACT_SILU), -1 / (1 + exp(1)), 0, 1 / (1 + exp(-1)));
    EXPECT(rv_activate(t.graph, F(x, 3), RV_ACT_TANH), -tanh(1), 0, tanh(1));
    EXPECT(rv_activate(t.graph, F(x, 3), RV_ACT_SIGMOID), 1 / (1 + exp(1)), 0.5, 1 / (1 + exp(-1)));
    EXPECT(rv_activate(t.graph, F(x, 3), RV_ACT_SOFTPLUS), log(1 + exp(-1)), log(2), log(1 + exp(1)));
    const double *far = ROW(-1000, 1000);
    EXPECT(rv_activate(t.graph, F(far, 2), RV_ACT_SOFTPLUS), 0, 1000);
    EXPECT(rv_activate(t.graph, F(far, 2), RV_ACT_SILU), 0, 1000);
    EXPECT(rv_activate(t.graph, F(far, 2), RV_ACT_SIGMOID), 0, 1);
    rv_graph_free(t.graph);
}

static void elementwise(void **state)
{
    (void)state;
    trial t = begin();
    const double *a = ROW(1, 2, 3, 4), *b = ROW(10, 20);
    EXPECT(rv_add(t.graph, F(a, 2, 2), F(b, 2)), 11, 22, 13, 24);
    EXPECT(rv_multiply(t.graph, F(a, 2, 2), F(b, 2)), 10, 40, 30, 80);
    EXPECT(rv_scale(t.graph, F(a, 4), -0.5), -0.5, -1, -1.5, -2);
    const double *table = ROW(1, 2, 3, 4, 5, 6);
    EXPECT(rv_embedding(t.graph, I(INTS(2, 0, 2, 1), 2, 2), F(table, 3, 2)), 5, 6, 1, 2, 5, 6, 3, 4);
    rv_graph_free(t.graph);
}

static void shape_operations(void **state)
{
    (void)state;
    trial t = begin();
    const double *a = ROW(1, 2, 3, 4), *b = ROW(5, 6), *x = ROW(1, 2, 3, 4, 5, 6);
    EXPECT(rv_concat(t.graph, F(a, 2, 2), F(b, 2, 1), 1), 1, 2, 5, 3, 4, 6);
    EXPECT(rv_concat(t.graph, F(a, 2, 2), F(b, 1, 2), 0), 1, 2, 3, 4, 5, 6);
    EXPECT(rv_slice(t.graph, F(x, 2, 3), 1, 1, 2), 2, 3, 5, 6);
    EXPECT(rv_slice(t.graph, F(x, 3, 2), 0, 1, 1), 3, 4);
    EXPECT(rv_reduce(t.graph, F(x, 2, 3), 0, RV_REDUCE_SUM), 5, 7, 9);
    EXPECT(rv_reduce(t.graph, F(x, 2, 3), 1, RV_REDUCE_MEAN), 2, 5);
    EXPECT(rv_reshape(t.graph, F(x, 2, 3), RV_SHAPE(3, 2)), 1, 2, 3, 4, 5, 6);
    rv_graph_free(t.graph);
}

static rv_value entropy(trial *t, rv_value logits, rv_value labels, rv_cross_entropy_options options)
{
    return rv_cross_entropy(t->graph, logits, labels, options);
}

static void cross_entropy(void **state)
{
    (void)state;
    trial t = begin();
    /* p = (1/6, 2/6, 3/6), shifted so far that exp alone would overflow. */
    const double x[] = {1000, 1000 + log(2), 1000 + log(3), 0, 0, 0};
    const double l0 = log(6), l1 = log(3), l2 = log(2), u = log(3);
    EXPECT(entropy(&t, F(x, 2, 3), I(INTS(1, 0), 2), (rv_cross_entropy_options){0}), l1 + u, 2);
    EXPECT(entropy(&t, F(x, 2, 3), I(INTS(-1, 0), 2), (rv_cross_entropy_options){.ignore_negative = true}), u, 1);
    EXPECT(entropy(&t, F(x, 2, 3), I(INTS(-1, -2), 2), (rv_cross_entropy_options){.ignore_negative = true}), 0, 0);
    /* Smoothing 0.3: 0.7 on the label and 0.1 on each class; an evaluation sees none. */
    EXPECT(entropy(&t, F(x, 1, 3), I(INTS(2), 1), (rv_cross_entropy_options){.label_smoothing = 0.3}), l2, 1);
    t.training = true;
    EXPECT(entropy(&t, F(x, 1, 3), I(INTS(2), 1), (rv_cross_entropy_options){.label_smoothing = 0.3}),
           0.7 * l2 + 0.1 * (l0 + l1 + l2), 1);
    EXPECT(entropy(&t, F(x, 2, 3), I(INTS(2, 0), 2), (rv_cross_entropy_options){.class_weights = ROW(5, 2, 3)}),
           3 * l2 + 5 * u, 8);
    t.training = true;
    EXPECT(entropy(&t, F(x, 1, 3), I(INTS(2), 1),
                   (rv_cross_entropy_options){.label_smoothing = 0.3, .class_weights = ROW(5, 2, 3)}),
           0.7 * 3 * l2 + 0.1 * (5 * l0 + 2 * l1 + 3 * l2), 3);
    rv_graph_free(t.graph);
}

/* s = (1/3, 1, 4) of sum 16/3: p = (1/16, 3/16, 12/16). */
static void stablemax(void **state)
{
    (void)state;
    trial t = begin();
    const double *x = ROW(-2, 0, 3, 1e300, 0, 0), l0 = log(16), l1 = log(16.0 / 3), l2 = log(4.0 / 3);
    const rv_cross_entropy_options plain = {.stablemax = true};
    EXPECT(entropy(&t, F(x, 1, 3), I(INTS(0), 1), plain), l0, 1);
    EXPECT(entropy(&t, F(x, 1, 3), I(INTS(1), 1), plain), l1, 1);
    EXPECT(entropy(&t, F(x, 2, 3), I(INTS(2, 0), 2), plain), l2, 2); /* the second row is sure */
    t.training = true;
    EXPECT(entropy(&t, F(x, 1, 3), I(INTS(2), 1), (rv_cross_entropy_options){.stablemax = true, .label_smoothing = 0.3}),
           0.7 * l2 + 0.1 * (l0 + l1 + l2), 1);
    rv_graph_free(t.graph);
}

static void pointwise_losses(void **state)
{
    (void)state;
    trial t = begin();
    const double *x = ROW(1, -2, 3), *y = ROW(0, 2, 3), *w = ROW(2, 0.5, 7);
    EXPECT(rv_mse(t.graph, F(x, 3), F(y, 3), RV_NONE), 17, 3);
    EXPECT(rv_mse(t.graph, F(x, 3), F(y, 3), F(w, 3)), 10, 9.5);
    EXPECT(rv_l1(t.graph, F(x, 3), F(y, 3), F(w, 3)), 4, 9.5);
    const double *logit = ROW(log(3), -800, 800), *target = ROW(0.25, 0, 0); /* sigmoid 3/4, 0, 1 */
    EXPECT(rv_binary_cross_entropy(t.graph, F(logit, 3), F(target, 3), RV_NONE),
           -0.25 * log(0.75) - 0.75 * log(0.25) + 800, 3);
    rv_graph_free(t.graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),         cmocka_unit_test(activations),   cmocka_unit_test(elementwise),
        cmocka_unit_test(shape_operations), cmocka_unit_test(cross_entropy), cmocka_unit_test(pointwise_losses),
        cmocka_unit_test(stablemax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
