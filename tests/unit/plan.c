/* Plans and runs: memory near its bound, gradients of graphs whose structure is hard on
 * the planner (ties, views, dead branches, in place) against central differences, start
 * values, and every refusal. */
#include "plan_session.h"

static const rv_plan_options forward_only = {.backend = RV_BACKEND_REF};

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

static void loss_against(rv_graph *g, rv_value y)
{
    rv_graph_set_loss(g, rv_mse(g, y, rv_graph_input(g, "goal", RV_F32, rv_graph_shape(g, y)), RV_NONE));
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

/* ---- memory ----------------------------------------------------------- */

static void expect_tight(rv_graph *graph)
{
    for (int gradient = 0; gradient < 2; gradient++) {
        rv_plan *plan;
        rv_error err = {0};
        rv_plan_options options = {.backend = RV_BACKEND_REF, .gradient = gradient};
        if (rv_plan_new(&plan, graph, options, &err) != RV_OK)
            fail_msg("%s", err.message);
        const rv_plan_bytes bytes = rv_plan_memory(plan);
        print_message("arena %zu, lower bound %zu, ratio %.3f\n", bytes.arena, bytes.lower_bound,
                      (double)bytes.arena / (double)bytes.lower_bound);
        assert_true(bytes.arena >= bytes.lower_bound);
        assert_true((double)bytes.arena <= 1.2 * (double)bytes.lower_bound);
        rv_plan_free(plan);
    }
    rv_graph_free(graph);
}

static void transformer_memory(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const int64_t n = 4, t = 16, d = 32;
    rv_value x = rv_embedding(g, IDS("tokens", n, t), P("table", 65, d));
    for (int i = 0; i < 4; i++) {
        rv_graph_push(g, "block%d", i);
        rv_value h = rv_layer_norm(g, x, P("gain1", d), RV_NONE, 1e-5);
        h = rv_linear(g, h, P("qkv", 3 * d, d), RV_NONE, RV_ACT_NONE);
        h = rv_attention(g, h, (rv_attention_options){.heads = 4, .causal = true});
        x = rv_add(g, x, rv_linear(g, h, P("proj", d, d), RV_NONE, RV_ACT_NONE));
        h = rv_layer_norm(g, x, P("gain2", d), RV_NONE, 1e-5);
        h = rv_linear(g, h, P("up", 4 * d, d), RV_NONE, RV_ACT_GELU);
        x = rv_add(g, x, rv_linear(g, h, P("down", d, 4 * d), RV_NONE, RV_ACT_NONE));
        rv_graph_pop(g);
    }
    const rv_value logits = rv_linear(g, x, P("head", 65, d), RV_NONE, RV_ACT_NONE);
    rv_graph_set_loss(g, rv_cross_entropy(g, logits, IDS("labels", n, t), (rv_cross_entropy_options){0}));
    expect_tight(g);
}

static rv_value conv_norm(rv_graph *g, const char *name, rv_value x, int64_t out, int stride)
{
    rv_graph_push(g, "%s", name);
    const rv_shape shape = rv_graph_shape(g, x);
    const rv_value kernel = P("kernel", out, shape.dim[3], 3, 3);
    x = rv_conv2d(g, x, kernel, RV_NONE, (rv_conv_options){.stride = stride, .padding = 1});
    x = rv_batch_norm(g, x, P("gain", out), P("shift", out), 1e-5);
    rv_graph_pop(g);
    return x;
}

static void convnet_memory(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_value x = rv_activate(g, conv_norm(g, "first", X("x", 4, 16, 16, 3), 8, 1), RV_ACT_RELU);
    for (int i = 0; i < 6; i++) {
        const int stride = i == 2 || i == 4 ? 2 : 1;
        const int64_t out = 8 << (i / 2);
        rv_graph_push(g, "block%d", i);
        const rv_value skip = out == rv_graph_shape(g, x).dim[3] && stride == 1
                                  ? x : conv_norm(g, "skip", x, out, stride);
        rv_value h = rv_activate(g, conv_norm(g, "conv1", x, out, stride), RV_ACT_RELU);
        h = conv_norm(g, "conv2", h, out, 1);
        x = rv_activate(g, rv_add(g, h, skip), RV_ACT_RELU);
        rv_graph_pop(g);
    }
    const rv_value logits = rv_linear(g, rv_global_pool(g, x), P("head", 10, 32), P("bias", 10), RV_ACT_NONE);
    rv_graph_set_loss(g, rv_cross_entropy(g, logits, IDS("labels", 4), (rv_cross_entropy_options){0}));
    expect_tight(g);
}

/* ---- layout, start values, cost ---------------------------------------- */

static void layout(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    rv_graph_set_output(g, "a", P("a", 3, 5));
    rv_graph_push(g, "net");
    P("b", 16);
    P("c", 0);
    rv_graph_parameter(g, "d", RV_ROLE_BIAS, (rv_shape){0}, (rv_init){RV_INIT_CONSTANT, 2.5});
    session s = open_session(g, forward_only);
    static const int64_t offsets[] = {0, 16, 32, 32};
    static const char *const names[] = {"a", "net.b", "net.c", "net.d"};
    assert_int_equal(s.layout->count, 4);
    assert_int_equal(s.layout->size, 48);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(s.layout->tensors[i].offset, offsets[i]);
        assert_string_equal(s.layout->tensors[i].name, names[i]);
    }
    assert_int_equal(s.layout->tensors[3].role, RV_ROLE_BIAS);
    assert_true(s.w[32] == 2.5 && s.w[15] == 0 && s.w[33] == 0);
    /* A parameter can be an output: where it stands in w. */
    assert_int_equal(rv_runner_forward(s.runner, s.w, NULL, training, NULL, NULL), RV_OK);
    assert_ptr_equal(rv_runner_output(s.runner, "a"), s.w);
    close_session(&s);
    rv_graph_free(g);
}

enum { DRAWS = 40000 };

static void start_values(void **state)
{
    (void)state;
    /* kind, scale; expected variance and largest size.  Of a normal cut at two deviations
     * the variance is 1 - 4 phi(2) / (2 Phi(2) - 1) = 0.77374 (Johnson, Kotz). */
    static const struct {
        rv_init init;
        double variance, largest;
    } rows[] = {
        {{RV_INIT_NORMAL, 2}, 4, 12},
        {{RV_INIT_UNIFORM, 3}, 3, 3},
        {{RV_INIT_TRUNCATED, 2}, 4 * 0.77374, 4},
        {{RV_INIT_ZERO, 2}, 0, 0},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        rv_graph *g = rv_graph_new();
        rv_graph_parameter(g, "other", RV_ROLE_HIDDEN, RV_SHAPE(DRAWS), rows[r].init);
        const rv_value w = rv_graph_parameter(g, "w", RV_ROLE_HIDDEN, RV_SHAPE(DRAWS), rows[r].init);
        rv_graph_set_output(g, "w", w);
        rv_plan *ref, *cpu;
        assert_int_equal(rv_plan_new(&ref, g, forward_only, NULL), RV_OK);
        assert_int_equal(rv_plan_new(&cpu, g, (rv_plan_options){.backend = RV_BACKEND_CPU}, NULL), RV_OK);
        static double a[2 * DRAWS], b[2 * DRAWS];
        static float f[2 * DRAWS];
        rv_plan_init(ref, 1, a, NULL);
        rv_plan_init(ref, 2, b, NULL);
        rv_plan_init(cpu, 1, f, NULL);
        double mean = 0, square = 0, cross_name = 0, cross_seed = 0;
        for (int i = 0; i < DRAWS; i++) {
            mean += a[i] / DRAWS;
            square += a[i] * a[i] / DRAWS;
            cross_name += a[i] * a[DRAWS + i] / DRAWS;
            cross_seed += a[i] * b[i] / DRAWS;
            assert_true(fabs(a[i]) <= rows[r].largest);
            assert_true(f[i] == (float)a[i] && f[DRAWS + i] == (float)a[DRAWS + i]);
        }
        /* Six deviations of each estimate. */
        const double v = rows[r].variance;
        assert_true(fabs(mean) <= 6 * sqrt(v / DRAWS));
        assert_true(fabs(square - v) <= 6 * v * sqrt(2.0 / DRAWS));
        assert_true(fabs(cross_name) <= 6 * v / sqrt(DRAWS) && fabs(cross_seed) <= 6 * v / sqrt(DRAWS));
        rv_plan_free(ref);
        rv_plan_free(cpu);
        rv_graph_free(g);
    }
}

/* A parameter's draw depends on its name only, not on what stands beside it. */
static void start_by_name(void **state)
{
    (void)state;
    double first[16], second[48];
    for (int k = 0; k < 2; k++) {
        rv_graph *g = rv_graph_new();
        if (k)
            P("before", 30);
        rv_graph_set_output(g, "w", P("w", 16));
        session s = open_session(g, forward_only);
        memcpy(k ? second : first, s.w, (k ? 48 : 16) * sizeof(double));
        close_session(&s);
        rv_graph_free(g);
    }
    assert_memory_equal(first, second + 32, sizeof first);
}

static void flops(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value h = rv_linear(g, X("x", 10, 20), P("w", 30, 20), RV_NONE, RV_ACT_NONE);
    rv_graph_set_output(g, "y", rv_linear(g, h, P("v", 40, 30), RV_NONE, RV_ACT_NONE));
    loss_against(g, rv_linear(g, h, P("u", 50, 30), RV_NONE, RV_ACT_NONE));
    rv_plan *plan;
    assert_int_equal(rv_plan_new(&plan, g, with_gradient, NULL), RV_OK);
    const double first = 2 * 10 * 20 * 30, side = 2 * 10 * 30 * 40, last = 2 * 10 * 30 * 50, loss = 3 * 10 * 50;
    assert_true(rv_plan_flops(plan, false) == first + side + last + loss);
    /* The first layer needs the gradient of its weight only, the side branch none. */
    assert_true(rv_plan_flops(plan, true) == 2 * first + side + 3 * last + 2 * loss);
    rv_plan_free(plan);
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
        cmocka_unit_test(tied_weights),       cmocka_unit_test(views),
        cmocka_unit_test(fan_out),            cmocka_unit_test(in_place),
        cmocka_unit_test(gradient_in_place),  cmocka_unit_test(outputs_are_kept),
        cmocka_unit_test(dead_branches),      cmocka_unit_test(untrained_loss),
        cmocka_unit_test(sizes_one_and_zero), cmocka_unit_test(transformer_memory),
        cmocka_unit_test(convnet_memory),     cmocka_unit_test(layout),
        cmocka_unit_test(start_values),       cmocka_unit_test(start_by_name),
        cmocka_unit_test(flops),              cmocka_unit_test(run_errors),
        cmocka_unit_test(misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
