/* The forms in which results live beside bf16 products: float, bf16 or both, by who reads them. */
#include "plan_session.h"

#include "graph/plan.h"
#include "tensor/kernels/cpu/dense.h"

enum { ROWS = 64, WIDTH = 32 };

/* norm -> two linear layers -> a loss; the norm's result may be an output, the weight computed. */
typedef struct chain {
    bool shown, computed;
} chain;

static rv_graph *build(chain c)
{
    rv_graph *g = rv_graph_new();
    const rv_value norm = rv_layer_norm(g, X("x", ROWS, WIDTH), P("gain", WIDTH), RV_NONE, 1e-5);
    const rv_value w = P("w", 4 * WIDTH, WIDTH);
    if (c.shown)
        rv_graph_set_output(g, "norm", norm);
    const rv_value up = rv_linear(g, norm, c.computed ? rv_scale(g, w, 1) : w, RV_NONE, RV_ACT_GELU);
    const rv_value y = rv_linear(g, up, P("v", WIDTH, 4 * WIDTH), P("b", WIDTH), RV_ACT_NONE);
    rv_graph_set_loss(g, rv_mse(g, y, X("goal", ROWS, WIDTH), RV_NONE));
    return g;
}

/* What a plan makes of the chain. */
typedef struct outcome {
    double loss, gradient; /* the latter: its squares summed */
    bool floats, rounded;  /* the forms of the norm's result */
    rv_plan_bytes bytes;
    rv_status status;
    rv_error err;
    float norm[ROWS * WIDTH]; /* where it is an output */
} outcome;

static outcome run(chain c, bool bf16, float gain)
{
    static outcome o;
    rv_graph *graph = build(c);
    rv_plan *plan;
    rv_runner *runner;
    double loss[2];
    o = (outcome){0};
    assert_int_equal(rv_plan_new(&plan, graph, (rv_plan_options){.backend = RV_BACKEND_CPU, .gradient = true, .bf16 = bf16},
                                 NULL), RV_OK);
    assert_int_equal(rv_runner_new(&runner, plan, NULL), RV_OK);
    const int64_t n = rv_plan_layout(plan)->size;
    float *w = aligned_alloc(64, (size_t)n * sizeof *w), *g = aligned_alloc(64, (size_t)n * sizeof *g);
    assert_true(w && g);
    rv_plan_init(plan, 3, w, NULL);
    for (int i = 0; i < WIDTH; i++)
        w[i] = gain;
    for (int input = 0; input < 2; input++)
        for (int i = 0; i < ROWS * WIDTH; i++)
            ((float *)rv_runner_input(runner, input))[i] =
                (float)rv_random_normal((rv_random){5, RV_RANDOM_DATA, (uint64_t)input}, (uint64_t)i);
    assert_int_equal(rv_plan_pack(plan, w, NULL, NULL), RV_OK);
    o.status = rv_runner_forward(runner, w, NULL, training, loss, &o.err);
    o.loss = loss[0];
    o.bytes = rv_plan_memory(plan);
    for (int i = 0; i < plan->program.forward; i++)
        if (plan->program.nodes[i].op == &rv_op_layer_norm) {
            o.floats = plan->program.steps[i].out.where == RV_SPOT_BLOCK;
            o.rounded = plan->program.steps[i].out_bf16.where == RV_SPOT_BLOCK;
        }
    if (c.shown)
        memcpy(o.norm, rv_runner_output(runner, "norm"), sizeof o.norm);
    if (o.status == RV_OK) {
        assert_int_equal(rv_runner_backward(runner, w, g, NULL), RV_OK);
        for (int64_t i = 0; i < n; i++)
            o.gradient += (double)g[i] * (double)g[i];
    }
    rv_runner_free(runner);
    rv_plan_free(plan);
    rv_graph_free(graph);
    free(w);
    free(g);
    return o;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 0x1p-6 * fabs(b);
}

/* A result that nobody reads as floats takes no memory for them; the answer is that of float32. */
static void only_bf16(void **state)
{
    (void)state;
    const outcome exact = run((chain){0}, false, 1), o = run((chain){0}, true, 1);
    assert_true(near(o.loss, exact.loss) && near(o.gradient, exact.gradient));
    assert_true(exact.floats && !exact.rounded && !o.floats && o.rounded);
    assert_true((double)o.bytes.arena <= 1.2 * (double)o.bytes.lower_bound);
}

/* A result that is shown is a float as well, bit for bit what it is without bf16. */
static void both(void **state)
{
    (void)state;
    const outcome exact = run((chain){.shown = true}, false, 1), o = run((chain){.shown = true}, true, 1);
    assert_true(o.floats && o.rounded);
    assert_memory_equal(o.norm, exact.norm, sizeof o.norm);
    assert_true(near(o.loss, exact.loss) && near(o.gradient, exact.gradient));
}

/* A layer whose weight is computed is not packed, so it multiplies floats and is given floats. */
static void not_packed(void **state)
{
    (void)state;
    const outcome exact = run((chain){.computed = true}, false, 1), o = run((chain){.computed = true}, true, 1);
    assert_true(o.floats && !o.rounded);
    assert_true(near(o.loss, exact.loss) && near(o.gradient, exact.gradient));
}

/* The message for what is not finite names a result that only exists in bf16. */
static void not_finite(void **state)
{
    (void)state;
    const outcome o = run((chain){0}, true, 3e38f);
    assert_int_equal(o.status, RV_E_NUMERIC);
    assert_non_null(strstr(o.err.message, "layer_norm"));
    assert_non_null(strstr(o.err.message, "expected finite values, found inf at element"));
}

int main(void)
{
    if (!rv_dense_possible())
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_bf16), cmocka_unit_test(both), cmocka_unit_test(not_packed),
                                       cmocka_unit_test(not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
