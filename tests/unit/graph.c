/* The builder: names, the first error that sticks, and the messages of the shape rules
 * of products, embedding, elementwise, shape and loss operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

static rv_value parameter(rv_graph *g, const char *name, rv_shape shape)
{
    return rv_graph_parameter(g, name, RV_ROLE_HIDDEN, shape, (rv_init){RV_INIT_ZERO, 0});
}

#define F(name, ...) parameter(g, name, RV_SHAPE(__VA_ARGS__))
#define I(name, ...) rv_graph_input(g, name, RV_I32, RV_SHAPE(__VA_ARGS__))

/* The message that a statement on a new graph g below the prefix "block0.mlp" leaves. */
#define MESSAGE(text, statement)                \
    do {                                        \
        rv_graph *g = rv_graph_new();           \
        rv_error err = {0};                     \
        assert_non_null(g);                     \
        rv_graph_push(g, "block%d", 0);         \
        rv_graph_push(g, "mlp");                \
        statement;                              \
        rv_graph_status(g, &err);               \
        assert_string_equal(err.message, text); \
        rv_graph_free(g);                       \
    } while (0)

static void shape_errors(void **state)
{
    (void)state;
    MESSAGE("linear 'block0.mlp': operand w: expected [*, 128], found [512, 64]",
            rv_linear(g, F("x", 8, 128), F("w", 512, 64), RV_NONE, RV_ACT_NONE));
    MESSAGE("linear 'block0.mlp': operand b: expected [512], found [64]",
            rv_linear(g, F("x", 8, 128), F("w", 512, 128), F("b", 64), RV_ACT_NONE));
    MESSAGE("linear 'block0.mlp': operand x: expected f32, found i32",
            rv_linear(g, I("x", 8, 128), F("w", 512, 128), RV_NONE, RV_ACT_NONE));
    MESSAGE("linear 'block0.mlp': activation: expected one of rv_activation, found 99",
            rv_linear(g, F("x", 8, 128), F("w", 512, 128), RV_NONE, (rv_activation)99));
    MESSAGE("linear 'block0.mlp': operand 1: expected a value, found none",
            rv_linear(g, F("x", 8, 128), RV_NONE, RV_NONE, RV_ACT_NONE));
    MESSAGE("matmul 'block0.mlp': operand b: expected [2, 4, 5], found [2, 3, 5]",
            rv_matmul(g, F("a", 2, 3, 4), F("b", 2, 3, 5), false, false));
    MESSAGE("matmul 'block0.mlp': operand b: expected [2, 5, 3], found [3, 5, 3]",
            rv_matmul(g, F("a", 2, 3, 4), F("b", 3, 5, 3), true, true));
    MESSAGE("matmul 'block0.mlp': operand a: expected rank at least 2, found [3]",
            rv_matmul(g, F("a", 3), F("b", 3), false, false));
    MESSAGE("embedding 'block0.mlp': operand ids: expected i32, found f32",
            rv_embedding(g, F("ids", 3), F("table", 7, 2)));
    MESSAGE("embedding 'block0.mlp': operand table: expected rank 2, found [7]",
            rv_embedding(g, I("ids", 3), F("table", 7)));
    MESSAGE("add 'block0.mlp': operand b: expected [4, 3] or its last axes, found [4]",
            rv_add(g, F("a", 4, 3), F("b", 4)));
    MESSAGE("multiply 'block0.mlp': operand b: expected [3] or its last axes, found [4, 3]",
            rv_multiply(g, F("a", 3), F("b", 4, 3)));
    MESSAGE("scale 'block0.mlp': operand x: expected f32, found i32", rv_scale(g, I("x", 3), 2));
    MESSAGE("concat 'block0.mlp': operand b: expected [4, 5], found [3, 5]",
            rv_concat(g, F("a", 4, 3), F("b", 3, 5), 1));
    MESSAGE("slice 'block0.mlp': operand x: expected 2 elements from 2 on axis 1, found [4, 3]",
            rv_slice(g, F("x", 4, 3), 1, 2, 2));
    MESSAGE("reduce 'block0.mlp': operand x: expected an axis 2, found [4, 3]",
            rv_reduce(g, F("x", 4, 3), 2, RV_REDUCE_SUM));
    MESSAGE("reshape 'block0.mlp': operand x: expected as many elements as [5, 2], found [4, 3]",
            rv_reshape(g, F("x", 4, 3), RV_SHAPE(5, 2)));
    MESSAGE("cross_entropy 'block0.mlp': operand labels: expected [4], found [3]",
            rv_cross_entropy(g, F("x", 4, 3), I("labels", 3), (rv_cross_entropy_options){0}));
    MESSAGE("cross_entropy 'block0.mlp': label_smoothing: expected in [0, 1), found 1",
            rv_cross_entropy(g, F("x", 4, 3), I("labels", 4), (rv_cross_entropy_options){.label_smoothing = 1}));
    MESSAGE("mse 'block0.mlp': operand target: expected [4, 3], found [3, 4]",
            rv_mse(g, F("x", 4, 3), F("target", 3, 4), RV_NONE));
    MESSAGE("binary_cross_entropy 'block0.mlp': operand weight: expected rank 2, found [4]",
            rv_binary_cross_entropy(g, F("x", 4, 3), F("target", 4, 3), F("weight", 4)));
}

static void name_errors(void **state)
{
    (void)state;
    MESSAGE("parameter 'block0.mlp.w': the name is taken", (F("w", 2), F("w", 3)));
    MESSAGE("parameter 'block0.mlp.w': expected at most 5 extents, each at least 0, of at most 2^46 elements, "
            "found [2, -1]", F("w", 2, -1));
    MESSAGE("parameter 'block0.mlp.w': expected at most 5 extents, each at least 0, of at most 2^46 elements, "
            "found [0, 4294967296, 4294967296]", F("w", 0, (int64_t)1 << 32, (int64_t)1 << 32));
    MESSAGE("graph: a prefix is popped that was not pushed", (rv_graph_pop(g), rv_graph_pop(g), rv_graph_pop(g)));
    MESSAGE("loss: expected the result of an operation", rv_graph_set_loss(g, F("w", 2)));
    MESSAGE("loss: expected f32 [2] (sum, weight), found f32 [3]", rv_graph_set_loss(g, rv_scale(g, F("w", 3), 1)));
    MESSAGE("output 'block0.mlp.y': expected a value, found none", rv_graph_set_output(g, "y", RV_NONE));
    MESSAGE("input 'block0.mlp.x': expected f32 or i32, found u8", rv_graph_input(g, "x", RV_U8, RV_SHAPE(1)));
    MESSAGE("name 'block0.mlp.': expected 1 to 63 bytes", F("", 2));
}

static void long_names(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_graph_push(g, "%s", "123456789012345678901234567890");
    rv_graph_push(g, "%s", "12345678901234567890123456789012"); /* 63 bytes with the dot */
    assert_int_equal(rv_graph_status(g, NULL), RV_OK);
    rv_graph_pop(g);
    rv_graph_push(g, "%s", "123456789012345678901234567890123");
    assert_int_equal(rv_graph_status(g, NULL), RV_E_RANGE);
    rv_graph_free(g);
}

/* After the first error nothing changes and every call returns none. */
static void first_error_sticks(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_error err;
    const rv_value x = F("x", 4, 3), w = F("w", 2, 4);
    assert_int_equal(rv_linear(g, x, w, RV_NONE, RV_ACT_NONE), RV_NONE);
    assert_int_equal(rv_scale(g, x, 2), RV_NONE);
    assert_int_equal(F("y", 1), RV_NONE);
    rv_graph_push(g, "ignored");
    rv_graph_pop(g);
    rv_graph_pop(g);
    assert_int_equal(rv_graph_status(g, &err), RV_E_SHAPE);
    assert_string_equal(err.message, "linear '#0': operand w: expected [*, 3], found [2, 4]");
    rv_plan *plan;
    assert_int_equal(rv_plan_new(&plan, g, (rv_plan_options){0}, &err), RV_E_SHAPE);
    assert_null(plan);
    assert_int_equal(rv_graph_shape(g, 99).rank, 0);
    rv_graph_free(g);
    rv_graph_free(NULL);
}

static void shapes(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value x = F("x", 2, 5, 3), a = F("a", 2, 4, 6);
    const struct {
        rv_value value;
        rv_shape shape;
    } rows[] = {
        {rv_linear(g, x, F("w", 7, 3), F("b", 7), RV_ACT_GELU), RV_SHAPE(2, 5, 7)},
        {rv_matmul(g, x, F("m", 2, 3, 4), false, false), RV_SHAPE(2, 5, 4)},
        {rv_matmul(g, x, F("n", 2, 4, 5), true, true), RV_SHAPE(2, 3, 4)},
        {rv_matmul(g, a, a, false, true), RV_SHAPE(2, 4, 4)},
        {rv_embedding(g, I("ids", 4, 6), F("table", 9, 3)), RV_SHAPE(4, 6, 3)},
        {rv_concat(g, x, F("y", 2, 1, 3), 1), RV_SHAPE(2, 6, 3)},
        {rv_slice(g, x, 1, 4, 1), RV_SHAPE(2, 1, 3)},
        {rv_reduce(g, x, 1, RV_REDUCE_MEAN), RV_SHAPE(2, 3)},
        {rv_reshape(g, x, RV_SHAPE(30)), RV_SHAPE(30)},
        {rv_reduce(g, F("z", 6), 0, RV_REDUCE_SUM), {0}},
        {rv_mse(g, x, x, RV_NONE), RV_SHAPE(2)},
    };
    assert_int_equal(rv_graph_status(g, NULL), RV_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const rv_shape found = rv_graph_shape(g, rows[i].value);
        assert_true(rv_shape_equal(&found, &rows[i].shape));
    }
    rv_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_errors),       cmocka_unit_test(name_errors), cmocka_unit_test(long_names),
        cmocka_unit_test(first_error_sticks), cmocka_unit_test(shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
