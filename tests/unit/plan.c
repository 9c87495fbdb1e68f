/* Plans and runs: gradients of graphs whose structure is hard on the planner (ties, views,
 * dead branches, in place) against central differences, and every refusal. */
#include "plan_session.h"

/* Every element of the gradient of the loss sum, gaps included, and that planning only
 * forward, where far more memory is reused, gives the same bits. */
static void check_gradient(rv_graph *graph)
{
    session s = open_session(graph, with_gradient), f = open_session(graph, forward_only);
    const double loss = forward(&s), h = 1e-5;
    assert_true(loss == forward(&f) && s.loss[1] == f.loss[1]);
    backward(&s);
    for (int64_t i = 0; i < s.layout->size; i++) {
        bool inside = false;
        for (int k = 0; k < s.layout->count; k++)
            inside |= i >= s.layout->tensors[k].offset &&
                      i < s.layout->tensors[k].offset + rv_shape_size(&s.layout->tensors[k].shape);
        const double kept = s.w[i];
        s.w[i] = kept + h;
        const double above = forward(&s);
        s.w[i] = kept - h;
        const double difference = (above - forward(&s)) / (2 * h);
        s.w[i] = kept;
        if (!inside)
            assert_true(s.g[i] == 0);
        else if (!(fabs(s.g[i] - difference) <= 1e-6 * (1 + fabs(difference))))
            fail_msg("element %lld: difference %.12g, gradient %.12g", (long long)i, difference, s.g[i]);
    }
    close_session(&s);
    close_session(&f);
    rv_graph_free(graph);
}

/* ---- structure -------------------------------------------------------- */

static void tied_weights(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value table = P("table", 3, 4), w = P("w", 4, 4);
    rv_value h = rv_embedding(g, IDS("ids", 5), table);
    h = rv_linear(g, h, w, RV_NONE, RV_ACT_TANH);
    h = rv_linear(g, h, w, RV_NONE, RV_ACT_TANH);
    const rv_value logits = rv_linear(g, h, table, RV_NONE, RV_ACT_NONE);
    rv_graph_set_loss(g, rv_cross_entropy(g, logits, IDS("labels", 5), (rv_cross_entropy_options){0}));
    check_gradient(g);
}

static void views(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_value h = rv_linear(g, X("x", 4, 3), P("w", 6, 3), P("b", 6), RV_ACT_NONE);
    const rv_value seen = rv_reshape(g, rv_reshape(g, h, RV_SHAPE(2, 2, 6)), RV_SHAPE(8, 3));
    h = rv_add(g, rv_reshape(g, rv_activate(g, seen, RV_ACT_SILU), RV_SHAPE(4, 6)), h);
    /* A view of a parameter, and the parameter itself. */
    const rv_value v = P("v", 6, 2);
    h = rv_matmul(g, h, v, false, false);
    h = rv_multiply(g, h, rv_reshape(g, rv_slice(g, rv_reshape(g, v, RV_SHAPE(12)), 0, 3, 8), RV_SHAPE(4, 2)));
    loss_against(g, h);
    check_gradient(g);
}

/* One value read many times, also twice by one operation. */
static void fan_out(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value h = rv_linear(g, X("x", 3, 2), P("w", 4, 2), P("b", 4), RV_ACT_NONE);
    rv_value y = rv_add(g, h, h);
    y = rv_add(g, y, rv_multiply(g, h, h));
    y = rv_add(g, y, rv_scale(g, h, -3));
    y = rv_add(g, rv_activate(g, h, RV_ACT_SIGMOID), y);
    y = rv_concat(g, y, rv_matmul(g, h, h, false, true), 1);
    loss_against(g, y);
    check_gradient(g);
}

/* A gradient that took over the block of another must keep it while gradients of a
 * branch that is older than its reader are placed. */
static void gradient_in_place(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value x = X("x", 3, 4);
    const rv_value h = rv_linear(g, x, P("w", 4, 4), RV_NONE, RV_ACT_NONE);
    rv_value side = rv_linear(g, x, P("u", 4, 4), RV_NONE, RV_ACT_TANH);
    side = rv_linear(g, side, P("a", 4, 4), RV_NONE, RV_ACT_TANH);
    side = rv_linear(g, side, P("b", 4, 4), RV_NONE, RV_ACT_TANH);
    loss_against(g, rv_add(g, rv_scale(g, rv_scale(g, h, 2), 3), side));
    check_gradient(g);
}

/* An output may be read by the last operation of all and still keeps its memory. */
static void outputs_are_kept(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value h = rv_activate(g, P("w", 5), RV_ACT_TANH);
    rv_graph_set_output(g, "h", h);
    rv_graph_set_output(g, "y", rv_scale(g, h, 2));
    session s = open_session(g, forward_only);
    assert_int_equal(rv_runner_forward(s.runner, s.w, NULL, training, NULL, NULL), RV_OK);
    for (int i = 0; i < 5; i++) {
        assert_true(((const double *)rv_runner_output(s.runner, "h"))[i] == tanh(s.w[i]));
        assert_true(((const double *)rv_runner_output(s.runner, "y"))[i] == 2 * tanh(s.w[i]));
    }
    close_session(&s);
    rv_graph_free(g);
}

/* Runs of elementwise operations share one block, as long as nobody needs the operand. */
static void in_place(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value h = rv_linear(g, X("x", 3, 64), P("w", 64, 64), P("b", 64), RV_ACT_NONE);
    rv_value y = rv_scale(g, rv_scale(g, rv_scale(g, h, 2), 0.25), 0.5);
    y = rv_activate(g, rv_add(g, y, P("c", 64)), RV_ACT_TANH);
    y = rv_scale(g, rv_scale(g, y, 2), 0.5);
    rv_graph_set_output(g, "h", y); /* so the next one may not write over it */
    y = rv_scale(g, y, 3);
    loss_against(g, y);

    session f = open_session(g, forward_only), s = open_session(g, with_gradient);
    forward(&f);
    forward(&s);
    const double *kept = rv_runner_output(f.runner, "h");
    for (int i = 0; i < 3 * 64; i++) {
        assert_true(fabs(kept[i]) <= 1);
        assert_true(kept[i] == ((const double *)rv_runner_output(s.runner, "h"))[i]);
    }
    /* x, goal, one block for all up to the output, one for the last, saved of linear. */
    const size_t block = 3 * 64 * sizeof(double);
    assert_true(rv_plan_memory(f.plan).arena <= 5 * block);
    close_session(&f);
    close_session(&s);
    check_gradient(g);
}

static void dead_branches(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value x = X("x", 3, 2), ids = IDS("never read", 7);
    const rv_value h = rv_linear(g, x, P("w", 4, 2), RV_NONE, RV_ACT_NONE);
    rv_linear(g, h, P("unused", 5, 4), P("unused bias", 5), RV_ACT_GELU);        /* leads nowhere */
    rv_embedding(g, ids, P("table", 1, 1));                                      /* would fail if it ran */
    rv_graph_set_output(g, "y", rv_linear(g, h, P("side", 3, 4), RV_NONE, RV_ACT_NONE)); /* not to the loss */
    const rv_value fixed = rv_activate(g, x, RV_ACT_TANH);                       /* not from a parameter */
    P("alone", 3);
    loss_against(g, rv_concat(g, h, rv_scale(g, fixed, 2), 1));

    session s = open_session(g, with_gradient);
    forward(&s);
    assert_non_null(rv_runner_output(s.runner, "y"));
    assert_null(rv_runner_output(s.runner, "z"));
    backward(&s);
    for (int k = 0; k < s.layout->count; k++) {
        double sum = 0;
        for (int64_t i = 0; i < rv_shape_size(&s.layout->tensors[k].shape); i++)
            sum += fabs(s.g[s.layout->tensors[k].offset + i]);
        assert_int_equal(sum > 0, strcmp(s.layout->tensors[k].name, "w") == 0);
    }
    close_session(&s);
    check_gradient(g);
}

/* A loss that no parameter reaches: all gradients are zero. */
static void untrained_loss(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    P("alone", 20);
    loss_against(g, rv_scale(g, X("x", 3), 2));
    check_gradient(g);
}

static rv_graph *mlp(int64_t batch, int64_t width)
{
    rv_graph *g = rv_graph_new();
    rv_value h = rv_linear(g, X("x", batch, width), P("w1", width, width), P("b1", width), RV_ACT_GELU);
    h = rv_add(g, rv_linear(g, h, P("w2", 3, width), P("b2", 3), RV_ACT_NONE), P("b3", 3));
    rv_graph_set_loss(g, rv_cross_entropy(g, h, IDS("labels", batch), (rv_cross_entropy_options){0}));
    return g;
}

static void sizes_one_and_zero(void **state)
{
    (void)state;
    check_gradient(mlp(1, 1));
    check_gradient(mlp(0, 2)); /* an empty shard: loss (0, 0), gradient 0 */
    check_gradient(mlp(2, 0)); /* an empty layer: only the biases are left */
    rv_graph *g = mlp(0, 2);
    session s = open_session(g, with_gradient);
    forward(&s);
    assert_true(s.loss[0] == 0 && s.loss[1] == 0);
    close_session(&s);
    rv_graph_free(g);
}

/* ---- refusals --------------------------------------------------------- */

static void run_errors(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_graph_push(g, "tok");
    rv_value h = rv_embedding(g, IDS("ids", 2), P("table", 3, 4));
    rv_graph_pop(g);
    rv_graph_push(g, "head");
    h = rv_scale(g, rv_add(g, h, X("x", 2, 4)), 1e200);
    rv_graph_push(g, "square");
    h = rv_multiply(g, h, h);
    rv_graph_pop(g);
    rv_graph_set_loss(g, rv_cross_entropy(g, h, IDS("labels", 2), (rv_cross_entropy_options){0}));
    session s = open_session(g, with_gradient);
    rv_error err;
    int32_t *ids = rv_runner_input(s.runner, 0), *labels = rv_runner_input(s.runner, 2);
    double *x = rv_runner_input(s.runner, 1);
#define RUN(status, text)                                                                               \
    assert_int_equal(rv_runner_forward(s.runner, s.w, NULL, training, s.loss, &err), status);           \
    assert_string_equal(err.message, text);                                                             \
    assert_int_equal(rv_runner_backward(s.runner, s.w, s.g, &err), RV_E_ARGUMENT)
    for (int i = 0; i < 12; i++)
        s.w[i] = 1;
    for (int i = 0; i < 8; i++)
        x[i] = 1;
    RUN(RV_E_NUMERIC, "multiply 'head.square': expected finite values, found inf at element 0");
    s.w[5] = NAN;
    RUN(RV_E_NUMERIC, "parameter 'tok.table': expected finite values, found nan at element 5");
    x[3] = -INFINITY;
    RUN(RV_E_NUMERIC, "input 'head.x': expected finite values, found -inf at element 3");
    ids[1] = 3;
    RUN(RV_E_RANGE, "embedding 'tok': id 1: expected 0 <= id < 3, found 3");
    ids[1] = 0;
    labels[0] = -1;
    RUN(RV_E_RANGE, "cross_entropy 'head': label 0: expected 0 <= label < 4, found -1");
    labels[0] = 4;
    RUN(RV_E_RANGE, "cross_entropy 'head': label 0: expected 0 <= label < 4, found 4");
#undef RUN
    assert_null(rv_runner_input(s.runner, 3));
    close_session(&s);
    rv_graph_free(g);
}

static void misuse(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_plan *plan;
    rv_error err;
    loss_against(g, rv_scale(g, P("w", 3), 2));
    session s = open_session(g, with_gradient), f = open_session(g, forward_only);
    assert_int_equal(rv_runner_backward(s.runner, s.w, s.g, &err), RV_E_ARGUMENT);
    forward(&s);
    backward(&s);
    assert_int_equal(rv_runner_backward(s.runner, s.w, s.g, &err), RV_E_ARGUMENT);
    forward(&f);
    assert_int_equal(rv_runner_backward(f.runner, f.w, f.g, &err), RV_E_ARGUMENT);
    close_session(&s);
    close_session(&f);
    rv_graph_free(g);

    g = rv_graph_new();
    rv_graph_set_output(g, "y", rv_scale(g, X("x", 3), 2));
    assert_int_equal(rv_plan_new(&plan, g, with_gradient, &err), RV_E_ARGUMENT);
    rv_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tied_weights), cmocka_unit_test(views), cmocka_unit_test(fan_out), cmocka_unit_test(in_place),
        cmocka_unit_test(gradient_in_place), cmocka_unit_test(outputs_are_kept), cmocka_unit_test(dead_branches),
        cmocka_unit_test(untrained_loss), cmocka_unit_test(sizes_one_and_zero), cmocka_unit_test(run_errors),
        cmocka_unit_test(misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
