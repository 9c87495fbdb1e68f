/* Probes against closed forms and against the dense Hessian of a small network, made from
 * second differences of its loss. */
#include "probe_help.h"

static void test_product_by_differences(void **state)
{
    (void)state;
    rv_error err;
    quadratic q = {.quartic = 2};
    fill_symmetric(&q);
    rv_objective *o = make_quadratic(&q, RV_F64);
    double w[SIZE] = {0}, v[SIZE] = {0}, hv[SIZE];
    ok(rv_objective_init(o, 1, w, &err), &err);
    start(NULL, 2, v);
    ok(rv_probe_hessian_vector(&(rv_probe_target){.objective = o, .batches = 1}, w, v, hv, &err), &err);
    for (int i = 0; i < DIM; i++) {
        double exact = q.quartic * w[i] * w[i] / 2 * v[i];
        for (int j = 0; j < DIM; j++)
            exact += q.a[i * DIM + j] * v[j];
        near(hv[i], exact, 1e-8);
    }
    for (int i = DIM; i < SIZE; i++)
        assert_true(hv[i] == 0);
    rv_objective_free(o);
}

/* The exact product of a workload against differences of its own gradient. */
static void check_exact_product(const char *name)
{
    rv_error err;
    rv_objective *o;
    const rv_workload *workload = rv_workload_find(name);
    void *params = malloc(workload->params->size);
    rv_params_init(workload->params, params);
    ok(workload->make(params, &(rv_workload_env){.backend = RV_BACKEND_REF}, &o, &err), &err);
    double w[SIZE] = {0.4, -0.3}, v[SIZE] = {1, 2}, exact[SIZE], low[SIZE], high[SIZE], loss;
    rv_batch batch = {.seed = 4, .step = 9, .parts = 1};
    assert_non_null(o->methods->hessian_vector);
    ok(o->methods->hessian_vector(o, w, batch, v, exact, &err), &err);
    for (int side = 0; side < 2; side++) {
        double moved[SIZE];
        for (int i = 0; i < SIZE; i++)
            moved[i] = w[i] + (side ? 1e-5 : -1e-5) * v[i];
        ok(rv_objective_value_grad(o, moved, batch, side ? high : low, &loss, &err), &err);
    }
    for (int i = 0; i < SIZE; i++)
        near(exact[i], (high[i] - low[i]) / 2e-5, 1e-5 * (1 + fabs(exact[i])));
    rv_objective_free(o);
    free(params);
}

static void test_exact_products(void **state)
{
    (void)state;
    check_exact_product("rosenbrock");
    check_exact_product("linear-regression");
}

/* Rosenbrock at (1, 1): H = (802, -400; -400, 200), eigenvalues 501 +- sqrt(250601). */
static void test_power_and_lanczos_of_rosenbrock(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o;
    const rv_workload *workload = rv_workload_find("rosenbrock");
    void *params = malloc(workload->params->size);
    rv_params_init(workload->params, params);
    ok(workload->make(params, &(rv_workload_env){.backend = RV_BACKEND_REF}, &o, &err), &err);
    double w[SIZE] = {1, 1};
    rv_probe_target probe = {.objective = o, .batches = 1};
    rv_eigen top;
    ok(rv_probe_power(&probe, w, 0, 100, 1e-12, &top, &err), &err);
    near(top.value, 501 + sqrt(250601), 1e-8);
    rv_ritz ritz[5];
    int made;
    ok(rv_probe_lanczos(&probe, w, 0, 0, 5, ritz, &made, &err), &err);
    assert_int_equal(made, 2); /* the space is exhausted */
    near(ritz[0].value, 501 - sqrt(250601), 1e-8);
    near(ritz[1].value, 501 + sqrt(250601), 1e-8);
    near(ritz[0].weight + ritz[1].weight, 1, 1e-12);
    rv_objective_free(o);
    free(params);
}

/* +-1 vectors see the trace of a diagonal matrix without error. */
static void test_trace_of_a_diagonal(void **state)
{
    (void)state;
    rv_error err;
    quadratic q = {0};
    double w[SIZE] = {0}, trace = 0;
    for (int i = 0; i < DIM; i++)
        trace += q.a[i * DIM + i] = i - 3.5;
    rv_objective *o = make_quadratic(&q, RV_F64);
    rv_estimate estimate;
    ok(rv_probe_trace(&(rv_probe_target){.objective = o, .batches = 1}, w, 3, 4, &estimate, &err), &err);
    near(estimate.mean, trace, 1e-7);
    near(estimate.error, 0, 1e-7);
    rv_objective_free(o);
}

/* A convex diagonal quadratic is highest in the corner to which its gradient points. */
static void test_box_sharpness_of_a_diagonal(void **state)
{
    (void)state;
    rv_error err;
    quadratic q = {0};
    double w[SIZE] = {0}, centre = 0, corner = 0, sharpness;
    const double epsilon = 1e-2;
    for (int i = 0; i < DIM; i++)
        q.a[i * DIM + i] = 1 + i;
    rv_objective *o = make_quadratic(&q, RV_F64);
    ok(rv_objective_init(o, 1, w, &err), &err);
    for (int i = 0; i < DIM; i++) {
        centre += (1 + i) * w[i] * w[i] / 2;
        corner += (1 + i) * pow(fabs(w[i]) + epsilon * (fabs(w[i]) + 1), 2) / 2;
    }
    ok(rv_probe_box_sharpness(&(rv_probe_target){.objective = o, .batches = 1}, w, epsilon, 4, &sharpness, &err), &err);
    near(sharpness, 100 * (corner - centre) / (1 + centre), 1e-9);
    rv_objective_free(o);
}

static void test_noise(void **state)
{
    (void)state;
    rv_error err;
    quadratic q = {.noise = 0.3};
    double w[SIZE] = {0}, *norms = malloc(4000 * sizeof *norms);
    rv_noise noise;
    rv_objective *o = make_quadratic(&q, RV_F64);
    rv_probe_target probe = {.objective = o, .seed = 1, .batches = 4000};
    ok(rv_probe_noise(&probe, w, &noise, norms, &err), &err);
    near(noise.covariance, DIM * 0.09, 0.03 * DIM * 0.09); /* deviation of the estimate: 0.7 % */
    near(noise.kurtosis, 0, 0.3);                           /* a chi norm of 12 parts is nearly normal */
    assert_true(noise.tail > 8);
    assert_true(norms[0] > 0);
    rv_objective_free(o);
    q = (quadratic){.tail = 2};
    o = make_quadratic(&q, RV_F64);
    probe.objective = o;
    ok(rv_probe_noise(&probe, w, &noise, NULL, &err), &err);
    near(noise.tail, 2, 0.3); /* Hill's deviation: 2 / sqrt(400) = 0.1 */
    assert_true(noise.kurtosis > 20);
    rv_objective_free(o);
    free(norms);
}

static void test_slice(void **state)
{
    (void)state;
    rv_error err;
    quadratic q = {0};
    for (int i = 0; i < DIM; i++)
        q.a[i * DIM + i] = 1;
    rv_objective *o = make_quadratic(&q, RV_F64);
    double w[SIZE] = {0}, dx[SIZE] = {2}, dy[SIZE] = {0, 3}, x[] = {-1, 0, 2}, y[] = {0, 1}, values[6];
    ok(rv_probe_slice(o, w, dx, 3, x, dy, 2, y, RV_SPLIT_TRAIN, "loss", values, &err), &err);
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 3; i++)
            near(values[j * 3 + i], (4 * x[i] * x[i] + 9 * y[j] * y[j]) / 2, 1e-12);
    rv_objective_free(o);
}

/* ---- a small network ------------------------------------------------------------------ */

extern void dsyev_(const char *job, const char *triangle, const int *n, double *a, const int *lda, double *w, double *work,
                   const int *lwork, int *info, size_t job_length, size_t triangle_length);

/* Places of the parameters in the flat vector. */
static int places(const rv_objective *o, int64_t *at)
{
    int n = 0;
    for (int t = 0; t < o->layout->count; t++)
        for (int64_t i = 0; i < rv_shape_size(&o->layout->tensors[t].shape); i++)
            at[n++] = o->layout->tensors[t].offset + i;
    return n;
}

static double loss_of(const rv_probe_target *probe, const double *w)
{
    rv_error err;
    double loss;
    ok(rv_probe_gradient(probe, w, NULL, &loss, &err), &err);
    return loss;
}

/* Second differences of the loss: independent of every gradient. */
static double second_difference(const rv_probe_target *probe, double *w, int64_t i, int64_t j)
{
    const double h = 2e-4;
    double sum = 0, a = w[i], b = w[j];
    for (int k = 0; k < 4; k++) {
        w[i] += k & 1 ? -h : h;
        w[j] += k & 2 ? -h : h;
        sum += (k == 0 || k == 3 ? 1 : -1) * loss_of(probe, w);
        w[i] = a;
        w[j] = b;
    }
    return sum / (4 * h * h);
}

static void check_spectrum(const rv_probe_target *probe, const double *w, const double *values, int n, double trace)
{
    rv_error err;
    rv_ritz ritz[100];
    rv_estimate estimate;
    int made;
    double total = 0, x[400], density[400], error[400], area = 0;
    ok(rv_probe_lanczos(probe, w, 7, 0, n, ritz, &made, &err), &err);
    for (int k = 0; k < made; k++)
        total += ritz[k].weight;
    near(total, 1, 1e-10);
    near(ritz[made - 1].value, values[n - 1], 1e-5 * values[n - 1]);
    near(ritz[0].value, values[0], 1e-5 * values[n - 1]);
    ok(rv_probe_lanczos(probe, w, 7, 1, 8, ritz, &made, &err), &err);
    for (int k = 0; k < made; k++) { /* the bound holds for every Ritz value of a short run */
        double nearest = HUGE_VAL;
        for (int i = 0; i < n; i++)
            nearest = fmin(nearest, fabs(values[i] - ritz[k].value));
        assert_true(nearest <= ritz[k].bound + 1e-5);
    }
    for (int i = 0; i < 400; i++)
        x[i] = values[0] - 1 + (values[n - 1] - values[0] + 2) * i / 399;
    rv_spectral_density(ritz, &made, 1, 8, 0.1, 400, x, density, error);
    for (int i = 0; i < 400; i++)
        area += density[i] * (x[1] - x[0]);
    near(area, 1, 1e-3);
    ok(rv_probe_trace(probe, w, 3, 200, &estimate, &err), &err);
    near(estimate.mean, trace, 4 * estimate.error);
    assert_true(estimate.error < 0.2 * fabs(trace));
}

static void test_network_hessian(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o = make_network(false);
    int64_t at[128];
    int n = places(o, at), info, lwork = 128 * 8;
    double *w = calloc((size_t)o->layout->size, sizeof *w), *v = calloc((size_t)o->layout->size, sizeof *v),
           *hv = calloc((size_t)o->layout->size, sizeof *hv), *dense = calloc((size_t)(n * n), sizeof *dense),
           values[128], *work = malloc((size_t)lwork * sizeof *work), trace = 0;
    rv_probe_target probe = {.objective = o, .seed = 2, .batches = 2};
    ok(rv_objective_init(o, 11, w, &err), &err);
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++)
            dense[i * n + j] = dense[j * n + i] = second_difference(&probe, w, at[i], at[j]);
    for (int j = 0; j < n; j++) {
        v[at[j]] = 1;
        ok(rv_probe_hessian_vector(&probe, w, v, hv, &err), &err);
        for (int i = 0; i < n; i++)
            near(hv[at[i]], dense[i * n + j], 1e-6);
        trace += dense[j * n + j];
        v[at[j]] = 0;
    }
    dsyev_("N", "U", &n, dense, &n, values, work, &lwork, &info, 1, 1);
    assert_int_equal(info, 0);
    check_spectrum(&probe, w, values, n, trace);
    rv_eigen top;
    ok(rv_probe_power(&probe, w, 0, 2000, 1e-6, &top, &err), &err);
    near(top.value, values[n - 1], 1e-4 * values[n - 1]);
    free(w);
    free(v);
    free(hv);
    free(dense);
    free(work);
    rv_objective_free(o);
}

static void test_statistics_come_back(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o = make_network(true);
    size_t bytes = (size_t)o->state_size * sizeof(double);
    double *w = calloc((size_t)o->layout->size, sizeof *w), *d = calloc((size_t)o->layout->size, sizeof *d), loss;
    void *before = malloc(bytes);
    assert_true(bytes > 0);
    ok(rv_objective_init(o, 1, w, &err), &err);
    memcpy(before, o->state, bytes);
    rv_probe_target probe = {.objective = o, .batches = 4};
    rv_direction_draw(o, w, RV_DIRECTION_GAUSSIAN, 1, 0, d);
    rv_noise noise;
    ok(rv_probe_gradient(&probe, w, NULL, &loss, &err), &err);
    ok(rv_probe_hessian_vector(&probe, w, d, d, &err), &err);
    ok(rv_probe_noise(&probe, w, &noise, NULL, &err), &err);
    assert_memory_equal(o->state, before, bytes);
    free(w);
    free(d);
    free(before);
    rv_objective_free(o);
}

static void test_directions(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o = make_network(true);
    size_t n = (size_t)o->layout->size;
    double *w = calloc(n, sizeof *w), *d = calloc(n, sizeof *d), *e = calloc(n, sizeof *e);
    ok(rv_objective_init(o, 1, w, &err), &err);
    rv_direction_draw(o, w, RV_DIRECTION_FILTER, 1, 0, d);
    rv_direction_draw(o, w, RV_DIRECTION_FILTER, 1, 1, e);
    double dot = 0, dd = 0, ee = 0;
    for (int t = 0; t < o->layout->count; t++) {
        const rv_tensor *tensor = &o->layout->tensors[t];
        int64_t size = rv_shape_size(&tensor->shape), rows = tensor->shape.rank >= 2 ? tensor->shape.dim[0] : 1;
        for (int64_t r = 0; r < rows; r++) {
            double ww = 0, row = 0;
            for (int64_t i = r * size / rows; i < (r + 1) * size / rows; i++) {
                double a = d[tensor->offset + i], b = e[tensor->offset + i];
                ww += pow(w[tensor->offset + i], 2);
                row += a * a;
                dot += a * b;
                dd += a * a;
                ee += b * b;
            }
            near(row, tensor->shape.rank >= 2 ? ww : 0, 1e-12 * (1 + ww));
        }
    }
    assert_true(fabs(dot) < 0.5 * sqrt(dd * ee)); /* 70 parameters: independent directions have |cos| about 0.12 */
    free(w);
    free(d);
    free(e);
    rv_objective_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_product_by_differences),
        cmocka_unit_test(test_exact_products),
        cmocka_unit_test(test_power_and_lanczos_of_rosenbrock),
        cmocka_unit_test(test_trace_of_a_diagonal),
        cmocka_unit_test(test_box_sharpness_of_a_diagonal),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_network_hessian),
        cmocka_unit_test(test_statistics_come_back),
        cmocka_unit_test(test_directions),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
