/* What a plan says before it runs: memory near its bound, places and start values of parameters,
 * and the cost. */
#include "plan_session.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transformer_memory), cmocka_unit_test(convnet_memory), cmocka_unit_test(layout),
        cmocka_unit_test(start_values), cmocka_unit_test(start_by_name), cmocka_unit_test(flops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
