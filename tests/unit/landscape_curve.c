/* Curves between minima as objectives: points, gradients, the way around a ring, and running statistics along them. */
#include "probe_help.h"

static void test_points_of_a_curve(void **state)
{
    (void)state;
    const float a[] = {0, 1}, b[] = {2, 3}, c[] = {4, -1};
    float w[2];
    rv_curve curve = {RV_F32, 2, a, b, c, RV_CURVE_BEZIER};
    const double ends[] = {0, 1};
    for (int k = 0; k < 2; k++) {
        rv_curve_point(&curve, ends[k], w);
        assert_memory_equal(w, k ? c : a, sizeof w);
    }
    rv_curve_point(&curve, 0.5, w);
    near(w[0], 2, 0);
    near(w[1], 1.5, 0);
    curve.bend = NULL;
    rv_curve_point(&curve, 0.25, w);
    near(w[0], 1, 0);
    near(w[1], 0.5, 0);
    curve.bend = b;
    curve.kind = RV_CURVE_CHAIN; /* 1/4: the middle of the first piece; 1/2: the corner */
    rv_curve_point(&curve, 0.25, w);
    near(w[0], (a[0] + b[0]) / 2, 0);
    near(w[1], (a[1] + b[1]) / 2, 0);
    rv_curve_point(&curve, 0.5, w);
    near(w[0], b[0], 0);
    near(w[1], b[1], 0);
    rv_curve_point(&curve, 0.875, w);
    near(w[0], (b[0] + 3 * c[0]) / 4, 0);
    const double t[] = {0, 0.25, 1}, f[] = {1, 2.5, 3}, low[] = {1, 0, 3};
    near(rv_curve_barrier(3, t, f), 1, 1e-15);
    near(rv_curve_barrier(3, t, low), 0, 0);
}

/* The mean gradient over t for f = x' A x / 2: of a Bezier curve A (a / 10 + 2 bend / 15 + b / 10), of a
 * chain A (a / 12 + bend / 3 + b / 12). */
static void gradient_of(rv_curve_kind kind, double of_ends, double of_bend)
{
    enum { DRAWS = 20000 };
    rv_error err;
    quadratic q = {0};
    fill_symmetric(&q);
    rv_objective *inner = make_quadratic(&q, RV_F64), *o;
    double a[SIZE] = {0}, b[SIZE] = {0}, bend[SIZE] = {0}, g[SIZE], mean[SIZE] = {0}, squares[SIZE] = {0}, loss, middle[SIZE];
    start(NULL, 1, a);
    start(NULL, 2, b);
    start(NULL, 3, bend);
    ok(rv_curve_objective_new(&o, inner, kind, a, b, &err), &err);
    ok(rv_objective_init(o, 0, middle, &err), &err);
    near(middle[3], (a[3] + b[3]) / 2, 1e-15);
    for (uint64_t k = 0; k < DRAWS; k++) {
        ok(rv_objective_value_grad(o, bend, (rv_batch){.seed = 4, .step = k, .parts = 1}, g, &loss, &err), &err);
        for (int i = 0; i < DIM; i++) {
            mean[i] += g[i] / DRAWS;
            squares[i] += g[i] * g[i] / DRAWS;
        }
    }
    for (int i = 0; i < DIM; i++) {
        double exact = 0;
        for (int j = 0; j < DIM; j++)
            exact += q.a[i * DIM + j] * (of_ends * (a[j] + b[j]) + of_bend * bend[j]);
        near(mean[i], exact, 4 * sqrt((squares[i] - mean[i] * mean[i]) / DRAWS)); /* standard errors */
    }
    rv_objective_free(o);
    rv_objective_free(inner);
}

static void test_gradient_of_a_curve(void **state)
{
    (void)state;
    gradient_of(RV_CURVE_BEZIER, 1.0 / 10, 2.0 / 15);
    gradient_of(RV_CURVE_CHAIN, 1.0 / 12, 1.0 / 3);
}

/* (|x|^2 - 1)^2: a ring of minima.  The chord from (1, 0) to (0, 1) rises to 1/4. */
static double ring(void *context, const double *x, rv_batch batch, double *g)
{
    (void)context;
    (void)batch;
    double r = x[0] * x[0] + x[1] * x[1] - 1;
    g[0] = 4 * r * x[0];
    g[1] = 4 * r * x[1];
    return r * r;
}

static void ring_evaluate(void *context, const double *x, rv_split split, rv_metrics *metrics)
{
    double g[2];
    (void)split;
    rv_metrics_put(metrics, "loss", ring(context, x, (rv_batch){.parts = 1}, g));
}

static void ring_start(void *context, uint64_t seed, double *x)
{
    (void)context;
    x[0] = x[1] = (double)seed;
}

/* The mean loss of the curve whose bend is (s, s), by the midpoint rule. */
static double ring_loss(double s)
{
    double sum = 0, g[2];
    for (int k = 0; k < 1000; k++) {
        double t = (k + 0.5) / 1000, x[] = {(1 - t) * (1 - t) + 2 * t * (1 - t) * s, t * t + 2 * t * (1 - t) * s};
        sum += ring(NULL, x, (rv_batch){.parts = 1}, g) / 1000;
    }
    return sum;
}

static void test_curve_around_a_ring(void **state)
{
    (void)state;
    enum { POINTS = 21 };
    rv_error err;
    rv_objective *inner, *o;
    rv_analytic analytic = {.name = "ring", .size = 2, .examples = 1, .start = ring_start, .value_grad = ring, .evaluate = ring_evaluate};
    ok(rv_analytic_new(&inner, &analytic, RV_F64, &err), &err);
    double a[SIZE] = {1}, b[SIZE] = {0, 1}, bend[SIZE] = {0}, g[SIZE], t[POINTS], values[POINTS], loss, best = 0;
    for (int k = 0; k < POINTS; k++)
        t[k] = k / (POINTS - 1.0);
    for (double s = 0.5; s < 1.5; s += 1e-3)
        best = ring_loss(s) < ring_loss(best) ? s : best;
    rv_view view = {.probe = {.objective = inner}, .metric = "loss"};
    rv_curve curve = {RV_F64, inner->layout->size, a, NULL, b, RV_CURVE_BEZIER};
    ok(rv_curve_values(&curve, &view, POINTS, t, values, &err), &err);
    near(rv_curve_barrier(POINTS, t, values), 0.25, 1e-12);
    ok(rv_curve_objective_new(&o, inner, RV_CURVE_BEZIER, a, b, &err), &err);
    ok(rv_objective_init(o, 0, bend, &err), &err);
    for (int k = 0; k < 4000; k++) { /* gradient descent with a falling rate */
        ok(rv_objective_value_grad(o, bend, (rv_batch){.seed = 1, .step = (uint64_t)k, .parts = 1}, g, &loss, &err), &err);
        for (int i = 0; i < 2; i++)
            bend[i] -= 0.5 * (1 - k / 4000.0) * g[i];
    }
    near(bend[0], best, 0.01);
    near(bend[1], best, 0.01);
    curve.bend = bend;
    ok(rv_curve_values(&curve, &view, POINTS, t, values, &err), &err);
    assert_true(rv_curve_barrier(POINTS, t, values) < 0.004);
    rv_metrics metrics;
    ok(rv_objective_evaluate(o, bend, RV_SPLIT_TRAIN, &metrics, &err), &err);
    near(rv_metrics_get(&metrics, "loss"), ring_loss(best), 2e-4); /* eight times instead of a thousand */
    rv_objective_free(o);
    rv_objective_free(inner);
}

/* ---- batch norm -------------------------------------------------------------------------------- */

static void test_statistics(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o = make_network(true), *curve;
    size_t n = (size_t)o->layout->size, bytes = (size_t)o->state_size * sizeof(double);
    double *w = calloc(n, sizeof *w), *other = calloc(n, sizeof *other), values[3], loss;
    void *before = malloc(bytes);
    rv_metrics metrics;
    ok(rv_objective_init(o, 1, other, &err), &err);
    ok(rv_objective_init(o, 2, w, &err), &err); /* statistics: mean 0, variance 1 */
    memcpy(before, o->state, bytes);
    rv_view view = {.probe = {.objective = o, .batches = 2}, .metric = "loss"};
    for (int mode = 0; mode < 3; mode++) {
        view.mode = (rv_view_mode)mode;
        ok(rv_view_value(&view, w, &values[mode], &err), &err);
        assert_memory_equal(o->state, before, bytes);
    }
    ok(rv_curve_objective_new(&curve, o, RV_CURVE_BEZIER, w, other, &err), &err);
    ok(rv_objective_evaluate(curve, w, RV_SPLIT_TEST, &metrics, &err), &err);
    assert_memory_equal(o->state, before, bytes);
    ok(rv_objective_evaluate(o, w, RV_SPLIT_TRAIN, &metrics, &err), &err);
    near(values[RV_VIEW_CENTRE], rv_metrics_get(&metrics, "loss"), 0);
    ok(rv_probe_gradient(&view.probe, w, NULL, &loss, &err), &err);
    near(values[RV_VIEW_TRAINING], loss, 0);
    ok(rv_objective_recompute(o, w, &err), &err);
    ok(rv_objective_evaluate(o, w, RV_SPLIT_TRAIN, &metrics, &err), &err);
    near(values[RV_VIEW_RECOMPUTED], rv_metrics_get(&metrics, "loss"), 0);
    assert_true(fabs(values[RV_VIEW_RECOMPUTED] - values[RV_VIEW_CENTRE]) > 1e-3);
    free(w);
    free(other);
    free(before);
    rv_objective_free(curve);
    rv_objective_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_of_a_curve), cmocka_unit_test(test_gradient_of_a_curve),
        cmocka_unit_test(test_curve_around_a_ring), cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests_name("landscape_curve", tests, NULL, NULL);
}
