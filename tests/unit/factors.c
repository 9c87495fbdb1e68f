/* Factor sums of linear layers against sums over explicit rows in double, and which nodes are layers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/ravine.h"

/* Sequences: rows of a layer are all positions of all examples.  Ten examples in shards of three: two rows of
 * the last shard belong to none. */
enum { EXAMPLES = 10, T = 4, IN = 5, HID = 6, CLASSES = 3, ROOM = 256, A1 = IN + 1, FACTORS = A1 * A1 + HID * HID + 1 +
       HID * HID + CLASSES * CLASSES + 1 + 1 };

static rv_activation activation;

static double feature(int64_t example, int i)
{
    return sin(1.7 * (double)example + 2.3 * i) + 0.1 * (i % IN);
}

static int label(int64_t example, int t)
{
    return (example + t) % 4 == 3 ? -1 : (int)((example * 7 + t) % CLASSES); /* some have none */
}

static void fill(const rv_source *source, rv_split split, const int64_t *ids, int count, rv_random augment,
                 uint64_t first, rv_dtype dtype, void *const *inputs)
{
    (void)source;
    (void)split;
    (void)augment;
    (void)first;
    for (int i = 0; i < count; i++) {
        for (int d = 0; d < T * IN; d++) {
            const double x = ids[i] < 0 ? 7 : feature(ids[i], d); /* what no sum may see */
            if (dtype == RV_F64)
                ((double *)inputs[0])[i * T * IN + d] = x;
            else
                ((float *)inputs[0])[i * T * IN + d] = (float)x;
        }
        for (int t = 0; t < T; t++)
            ((int32_t *)inputs[1])[i * T + t] = ids[i] < 0 ? -1 : label(ids[i], t);
    }
}

static void free_source(rv_source *source)
{
    free(source);
}

/* The second layer has no bias. */
static void build(rv_graph *graph, const rv_value *inputs, const void *params)
{
    (void)params;
    const rv_layer hidden = {.out = HID, .act = activation, .bias = true, .role = RV_ROLE_INPUT,
                             .weight_init = rv_init_torch_linear(1), .bias_init = rv_init_torch_linear(1)};
    const rv_layer head = {.out = CLASSES, .role = RV_ROLE_HEAD, .weight_init = rv_init_torch_linear(1)};
    const rv_value h = rv_nn_linear(graph, "hidden", inputs[0], hidden);
    rv_nn_classify(graph, rv_nn_linear(graph, "head", h, head), inputs[1], (rv_cross_entropy_options){0});
}

static rv_objective *make(rv_workload_env env)
{
    rv_objective *o;
    rv_error err;
    rv_source *source = calloc(1, sizeof *source);
    *source = (rv_source){.inputs = 2, .input_dtype = {RV_F32, RV_I32}, .input_shape = {RV_SHAPE(T, IN), RV_SHAPE(T)},
                          .examples = {EXAMPLES, 4, 4}, .classes = CLASSES, .fill = fill, .free = free_source};
    const rv_network network = {.name = "sequences", .build = build, .source = source, .batch = EXAMPLES,
                                .shards = 4, .evaluation_rows = 4};
    if (rv_network_new(&o, &network, &env, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(o->layout->layer_count, env.bf16 ? 0 : 2); /* operands in bf16 are not shown */
    assert_int_equal(rv_layout_factors(o->layout), env.bf16 ? 0 : FACTORS);
    assert_true(o->layout->size <= ROOM);
    return o;
}

/* ---- the sums by hand -------------------------------------------------------- */

static double act(double z)
{
    return activation == RV_ACT_RELU ? fmax(z, 0) : activation == RV_ACT_TANH ? tanh(z) : activation == RV_ACT_SILU ? z / (1 + exp(-z)) : z;
}

static double slope(double z)
{
    const double s = 1 / (1 + exp(-z));
    return activation == RV_ACT_RELU ? z > 0 : activation == RV_ACT_TANH ? 1 - tanh(z) * tanh(z) : activation == RV_ACT_SILU ? s + z * s * (1 - s) : 1;
}

static void add_square(double *sum, const double *x, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            sum[i * n + j] += x[i] * x[j];
}

static const double *tensor_at(const rv_layout *layout, const double *w, const char *name)
{
    const int at = rv_layout_find(layout, name);
    assert_true(at >= 0);
    return w + layout->tensors[at].offset;
}

/* w [layout size] in double. */
static void by_hand(const rv_layout *layout, const double *w, double *sums)
{
    const double *w1 = tensor_at(layout, w, "hidden.weight"), *b1 = tensor_at(layout, w, "hidden.bias");
    const double *w2 = tensor_at(layout, w, "head.weight");
    double *a1 = sums, *g1 = a1 + A1 * A1, *n1 = g1 + HID * HID;
    double *a2 = n1 + 1, *g2 = a2 + HID * HID, *n2 = g2 + CLASSES * CLASSES, *losses = n2 + 1;
    memset(sums, 0, FACTORS * sizeof *sums);
    for (int64_t e = 0; e < EXAMPLES; e++)
        for (int t = 0; t < T; t++) {
            double x[A1], z[HID], h[HID], p[CLASSES], gz[HID], total = 0;
            const int y = label(e, t);
            for (int i = 0; i < IN; i++)
                x[i] = feature(e, t * IN + i);
            x[IN] = 1;
            for (int k = 0; k < HID; k++) {
                z[k] = b1[k];
                for (int i = 0; i < IN; i++)
                    z[k] += w1[k * IN + i] * x[i];
                h[k] = act(z[k]);
            }
            for (int c = 0; c < CLASSES; c++) {
                double logit = 0;
                for (int k = 0; k < HID; k++)
                    logit += w2[c * HID + k] * h[k];
                total += p[c] = exp(logit);
            }
            for (int c = 0; c < CLASSES; c++)
                p[c] = y < 0 ? 0 : p[c] / total - (c == y);
            for (int k = 0; k < HID; k++) {
                gz[k] = 0;
                for (int c = 0; c < CLASSES; c++)
                    gz[k] += p[c] * w2[c * HID + k] * slope(z[k]);
            }
            add_square(a1, x, A1);
            add_square(g1, gz, HID);
            add_square(a2, h, HID);
            add_square(g2, p, CLASSES);
            *n1 += 1;
            *n2 += 1;
            *losses += y >= 0;
        }
}

static double at(const void *x, rv_dtype dtype, int64_t i)
{
    return dtype == RV_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* The largest distance over the lower triangles, relative to the largest element of each square. */
static double apart(const rv_layout *layout, const void *found, rv_dtype dtype, const double *expected)
{
    double worst = 0;
    int64_t start = 0;
    for (int l = 0; l < layout->layer_count; l++) {
        const int64_t orders[] = {rv_layer_width(&layout->layers[l]), layout->layers[l].out, 1};
        for (int side = 0; side < 3; side++) {
            const int64_t n = orders[side];
            double most = 0, error = 0;
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j <= i; j++) {
                    most = fmax(most, fabs(expected[start + i * n + j]));
                    error = fmax(error, fabs(at(found, dtype, start + i * n + j) - expected[start + i * n + j]));
                }
            worst = fmax(worst, error / most);
            start += n * n;
        }
    }
    assert_true(at(found, dtype, start) == expected[start]);
    return worst;
}

static const rv_batch batch = {.seed = 1, .step = 3, .parts = 1};

static void compare(rv_workload_env env, double tolerance)
{
    rv_error err = {0};
    rv_objective *o = make(env);
    double w[ROOM] = {0}, wide[ROOM], g[ROOM] = {0}, own[ROOM] = {0}, found[FACTORS], expected[FACTORS], loss, plain;
    assert_int_equal(rv_objective_init(o, 5, w, &err), RV_OK);
    for (int64_t i = 0; i < o->layout->size; i++)
        wide[i] = at(w, o->dtype, i);
    by_hand(o->layout, wide, expected);
    assert_int_equal(rv_objective_value_grad(o, w, batch, own, &plain, &err), RV_OK);
    if (rv_objective_factors(o, w, batch, false, g, &loss, found, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_true(loss == plain);
    assert_memory_equal(g, own, sizeof g);
    const double error = apart(o->layout, found, o->dtype, expected);
    if (!(error < tolerance))
        fail_msg("activation %d, %s: %.2e apart", (int)activation, rv_backend_name(env.backend), error);
    rv_objective_free(o);
}

static void test_sums(void **state)
{
    (void)state;
    static const rv_activation all[] = {RV_ACT_NONE, RV_ACT_RELU, RV_ACT_TANH, RV_ACT_SILU};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        activation = all[i];
        compare((rv_workload_env){.backend = RV_BACKEND_REF}, 1e-12);
        compare((rv_workload_env){.backend = RV_BACKEND_CPU}, 2e-6);
        rv_objective_free(make((rv_workload_env){.backend = RV_BACKEND_CPU, .bf16 = true}));
    }
}

/* The same bits for any number of workers, once more, and without the gradient; sampled labels are others. */
static void test_bits(void **state)
{
    (void)state;
    rv_error err = {0};
    float first[FACTORS], found[FACTORS], w[ROOM] = {0}, g[ROOM], own[ROOM];
    double loss;
    activation = RV_ACT_RELU;
    for (int workers = 1; workers <= 3; workers++) {
        rv_pool *pool;
        assert_int_equal(rv_pool_new(&pool, workers, &err), RV_OK);
        rv_objective *o = make((rv_workload_env){.backend = RV_BACKEND_CPU, .pool = pool});
        assert_int_equal(rv_objective_init(o, 5, w, &err), RV_OK);
        assert_int_equal(rv_objective_factors(o, w, batch, false, g, &loss, workers == 1 ? first : found, &err), RV_OK);
        assert_memory_equal(first, workers == 1 ? first : found, sizeof first);
        assert_int_equal(rv_objective_factors(o, w, batch, true, g, &loss, found, &err), RV_OK);
        assert_memory_not_equal(first, found, sizeof first);
        assert_int_equal(rv_objective_sampled_grad(o, w, batch, own, &loss, &err), RV_OK);
        assert_memory_equal(g, own, (size_t)o->layout->size * sizeof *g);
        assert_int_equal(rv_objective_factors(o, w, batch, false, NULL, &loss, found, &err), RV_OK);
        assert_memory_equal(first, found, sizeof first);
        rv_objective_free(o);
        rv_pool_free(pool);
    }
    static const rv_objective_methods none = {0};
    static const rv_layout bare = {0};
    rv_objective quadratic = {.methods = &none, .name = "quadratic", .layout = &bare};
    assert_int_equal(rv_objective_factors(&quadratic, w, batch, false, g, &loss, found, &err), RV_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "quadratic"));
}

/* ---- which nodes are layers ------------------------------------------------------ */

static rv_value weight(rv_graph *g, const char *name, rv_shape shape)
{
    return rv_graph_parameter(g, name, RV_ROLE_HIDDEN, shape, (rv_init){RV_INIT_NORMAL, 0.5});
}

/* Layers of a graph over x [4, 3] whose loss is the mean square of y. */
static int layers_of(rv_graph *g, rv_value y, rv_linear_layer *first)
{
    rv_plan *plan;
    rv_error err = {0};
    rv_graph_set_loss(g, rv_mse(g, y, rv_graph_input(g, "target", RV_F32, rv_graph_shape(g, y)), RV_NONE));
    if (rv_plan_new(&plan, g, (rv_plan_options){.backend = RV_BACKEND_REF, .gradient = true}, &err) != RV_OK)
        fail_msg("%s", err.message);
    const int count = rv_plan_layout(plan)->layer_count;
    if (count > 0)
        *first = rv_plan_layout(plan)->layers[0];
    rv_plan_free(plan);
    rv_graph_free(g);
    return count;
}

static void test_what_is_a_layer(void **state)
{
    (void)state;
    rv_linear_layer l = {0};
    for (int form = 0; form < 4; form++) {
        rv_graph *g = rv_graph_new();
        const rv_value x = rv_graph_input(g, "x", RV_F32, RV_SHAPE(4, 3)), w = weight(g, "w", RV_SHAPE(3, 3));
        const rv_value b = weight(g, "b", RV_SHAPE(3)), c = weight(g, "c", RV_SHAPE(3));
        rv_value y = rv_linear(g, x, w, b, RV_ACT_TANH);
        if (form == 1) /* a second time through the same layer */
            y = rv_linear(g, y, w, b, RV_ACT_NONE);
        if (form == 2) /* the same weight with another bias is another layer */
            y = rv_linear(g, y, w, c, RV_ACT_NONE);
        if (form == 3) /* a weight that something else reads too */
            y = rv_add(g, y, rv_matmul(g, x, w, false, false));
        assert_int_equal(layers_of(g, y, &l), form < 2 ? 1 : 0);
        if (form < 2)
            assert_true(l.weight == 0 && l.bias == 1 && l.in == 3 && l.out == 3 && l.positions == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_bits),
                                       cmocka_unit_test(test_what_is_a_layer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
