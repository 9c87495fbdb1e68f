/* Measures: their tables, what they say of Rosenbrock's valley in closed form, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "ravine/ravine.h"

static char dir[] = "/tmp/ravine-measure-XXXXXX";
static char point[RV_RUN_SIZE];

static json_t *probe(const char *const *measures, int count, const char *const *set, int sets)
{
    char out[64], *text = NULL;
    rv_error err = {0};
    json_t *result = NULL;
    snprintf(out, sizeof out, "%s/out", dir);
    rv_measure_options options = {.dir = out, .threads = 1, .measures = measures, .measure_count = count, .set = set,
                                  .set_count = sets};
    if (rv_measure_execute(point, &options, &text, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rv_json_parse(text, strlen(text), "result", &result, &err), RV_OK);
    free(text);
    return result;
}

static double value(const json_t *result, const char *measure, const char *key)
{
    const json_t *part, *one;
    size_t i, k;
    json_array_foreach(json_object_get(result, "measures"), i, part)
        json_array_foreach(json_object_get(part, "values"), k, one)
            if (strcmp(json_string_value(json_object_get(part, "measure")), measure) == 0 &&
                strcmp(json_string_value(json_object_get(one, "key")), key) == 0)
                return rv_json_real(one, "value", NAN);
    fail_msg("%s has no %s", measure, key);
    return NAN;
}

static void near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("expected %.15g within %g of it, found %.15g", expected, relative, found);
}

static void tables(void **state)
{
    (void)state;
    rv_error err = {0};
    assert_int_equal(rv_params_check(rv_measure_common(), &err), RV_OK);
    for (int i = 0; rv_measure_at(i); i++) {
        if (rv_measure_check(rv_measure_at(i), &err) != RV_OK)
            fail_msg("%s", err.message);
        assert_ptr_equal(rv_measure_find(rv_measure_at(i)->name), rv_measure_at(i));
    }
    assert_null(rv_measure_find("absent"));
}

/* The Hessian of the valley at the saved weights, by hand. */
static void curvature(void **state)
{
    (void)state;
    static const char *const measures[] = {"hessian"}, *const set[] = {"products=2", "hessian.starts=4", "samples=400"};
    rv_error err;
    rv_point p;
    rv_point_options options = {0};
    assert_int_equal(rv_point_load(&p, point, &options, &err), RV_OK);
    double x = ((float *)p.w)[0], y = ((float *)p.w)[1], a = 2 - 400 * y + 1200 * x * x, b = -400 * x, c = 200;
    rv_point_release(&p);
    json_t *r = probe(measures, 1, set, 3);
    double middle = (a + c) / 2, half = hypot((a - c) / 2, b);
    near(value(r, "hessian", "lambda_max"), middle + half, 1e-10);
    near(value(r, "hessian", "lambda_min"), middle - half, 1e-8);
    near(value(r, "hessian", "largest_stable_lr"), 2 / (middle + half), 1e-10);
    near(value(r, "hessian", "trace"), a + c, 0.3); /* +-1 vectors: error |2 b| / sqrt(400) */
    near(value(r, "point", "loss"), (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x), 1e-6);
    json_decref(r);
}

/* The axes of a plane along the eigenvectors have the eigenvalues just found; a random plane holds the point. */
static void planes(void **state)
{
    (void)state;
    static const char *const measures[] = {"plane", "hessian"},
                      *const set[] = {"axes=hessian", "plane.products=4", "hessian.products=2", "grid=5", "reach=1e-3"};
    json_t *r = probe(measures, 2, set, 5);
    near(value(r, "plane", "along_x"), value(r, "hessian", "lambda_max"), 1e-10);
    near(value(r, "plane", "along_y"), value(r, "hessian", "lambda_min"), 1e-8);
    near(value(r, "plane", "train_basin"), 1, 0); /* so small that nothing doubles */
    json_decref(r);
    static const char *const random[] = {"axes=gaussian", "grid=3", "reach=1e-6"};
    r = probe(measures, 1, random, 3);
    near(value(r, "plane", "train_minimum"), value(r, "point", "loss"), 1e-3);
    json_decref(r);
}

/* A bare name reaches every table that has it, a dotted one its own. */
static void parameters(void **state)
{
    (void)state;
    static const char *const measures[] = {"line", "noise", "line"},
                      *const set[] = {"seed=7", "points=5", "noise.samples=6", "workload.noise=1", "direction=gaussian", "directions=2"};
    json_t *r = probe(measures, 3, set, 6), *parts = json_object_get(r, "measures");
    assert_int_equal(json_array_size(parts), 3); /* the point, line, noise: each once */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_array_get(parts, 0), "params"), "seed")), 7);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_array_get(parts, 1), "params"), "points")), 5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_array_get(parts, 2), "params"), "samples")), 6);
    assert_true(value(r, "noise", "covariance") > 0); /* the noise was set on the workload */
    json_decref(r);
}

static void refused(rv_status expected, const char *measure, const char *set, const char *says)
{
    rv_error err = {0};
    rv_measure_options options = {.dir = dir, .threads = 1, .measures = &measure, .measure_count = measure ? 1 : 0, .set = &set,
                                  .set_count = set ? 1 : 0};
    assert_int_equal(rv_measure_execute(point, &options, NULL, &err), expected);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" expected in: %s", says, err.message);
}

static void wrong_use(void **state)
{
    (void)state;
    refused(RV_E_UNKNOWN, "hesian", NULL, "did you mean 'hessian'?");
    refused(RV_E_UNKNOWN, "hessian", "prodcuts=3", "did you mean 'products'?");
    refused(RV_E_UNKNOWN, "noise", "hessian.products=3", "no parameter");
    refused(RV_E_RANGE, "hessian", "products=1", "[2, 1000]");
    refused(RV_E_ARGUMENT, "hessian", "products", "NAME=VALUE");
    refused(RV_E_RANGE, "line", "points=30", "odd");
    refused(RV_E_UNKNOWN, "line", "metric=acuracy", "loss, distance");
    refused(RV_E_UNKNOWN, "line", "workload.nois=1", "noise");
    refused(RV_E_ARGUMENT, "plane", "axes=pca", "at least 2 further points (--with CHECKPOINT), found 0");
    refused(RV_E_ARGUMENT, "plane", "axes=points", "found 0");
    refused(RV_E_ARGUMENT, "plane", "axes=point", "gaussian|tensor|filter|pca|hessian|points");
}

/* ---- what is read off a line; the ends of a spectrum ------------------------------------- */

static void lines(void **state)
{
    (void)state;
    double x[9], bowl[9], hill[9];
    for (int i = 0; i < 9; i++) {
        x[i] = (i - 4) / 4.0;
        bowl[i] = 1 + x[i] * x[i];
        hill[i] = 1 + (fabs(x[i]) > 0.6 ? 0 : 0.1 - 0.1 * x[i] * x[i]) + x[i] * 0.01;
    }
    assert_true(rv_line_minimum(9, x, bowl) == 0 && rv_line_minimum(9, x, hill) == -1);
    assert_true(!rv_line_bends_down(9, x, bowl, 2) && rv_line_bends_down(9, x, hill, 2));
    near(rv_line_width(9, x, bowl, 1.25), 1, 1e-12);  /* grid points at +-1/2 */
    near(rv_line_width(9, x, bowl, 1.125), 2 * (0.25 + 0.25 * (0.125 - 0.0625) / (0.25 - 0.0625)), 1e-12);
    near(rv_line_width(9, x, bowl, 9), 2, 1e-12);     /* up to the edges */
}

/* Two products exhaust two dimensions: ends and weights are exact, and the density has mass one. */
static void spectrum(void **state)
{
    (void)state;
    rv_error err;
    rv_point p;
    rv_point_options options = {0};
    rv_spectrum s;
    double x[400], density[400], error[400], mass = 0, squares = 0;
    assert_int_equal(rv_point_load(&p, point, &options, &err), RV_OK);
    rv_probe_target target = {.objective = p.objective, .batches = 1};
    assert_int_equal(rv_probe_spectrum(&target, p.w, 0, 50, 2, &s, &err), RV_OK);
    rv_spectrum_curve(&s, 0.01, 400, x, density, error);
    for (int i = 0; i < 400; i++)
        mass += density[i] * (x[1] - x[0]);
    near(mass, 1, 1e-6);
    near(x[0], fmin(s.least.value, 0) - 0.05 * (s.most.value - fmin(s.least.value, 0)), 1e-12);
    for (int k = 0; k < s.starts; k++) {
        assert_int_equal(s.made[k], 2);
        squares += fabs(s.ritz[2 * k].weight + s.ritz[2 * k + 1].weight - 1);
    }
    assert_true(squares < 1e-9);
    near(s.trace.mean, s.least.value + s.most.value, 4 * s.trace.error / fabs(s.least.value + s.most.value));
    rv_spectrum_release(&s);
    rv_point_release(&p);
}

static int begin(void **state)
{
    (void)state;
    rv_error err = {0};
    rv_trial_result result = {0};
    char *text = NULL;
    unsetenv("RAVINE_SET");
    if (!mkdtemp(dir))
        return -1;
    rv_trial_options options = {.dir = dir, .threads = 1};
    rv_status status = rv_trial_resolve("{\"workload\":\"rosenbrock\",\"train\":{\"steps\":30,\"stop_at_target\":false}}", NULL, 0, &text, &err);
    if (status == RV_OK)
        status = rv_trial_run(text, &options, &result, &err);
    snprintf(point, sizeof point, "%s", result.run);
    free(text);
    return status == RV_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),    cmocka_unit_test(curvature), cmocka_unit_test(planes), cmocka_unit_test(parameters),
        cmocka_unit_test(wrong_use), cmocka_unit_test(lines),     cmocka_unit_test(spectrum),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
