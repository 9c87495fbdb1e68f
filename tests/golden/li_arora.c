/* The theorem of Li and Arora (2020), through the code that trains: SGD with weight decay at a
 * constant rate, and SGD without at the exponential rate, pass through the same directions; the
 * weights of both runs are those of an independent computation (li_arora_exponential_lr.json). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "optim/li_arora.h"

enum { DIM = 12, STEPS = 20 };

static json_t *file;

static void read_vector(const json_t *list, double *x, int n)
{
    assert_int_equal(json_array_size(list), n);
    for (int i = 0; i < n; i++)
        x[i] = json_number_value(json_array_get(list, (size_t)i));
}

/* Of 1/2 u.S u + b.u, u = w/|w|. */
static void gradient(const double *w, double *g)
{
    double s[DIM * DIM], b[DIM], u[DIM], h[DIM], norm = 0, along = 0;
    read_vector(json_object_get(file, "S"), s, DIM * DIM);
    read_vector(json_object_get(file, "b"), b, DIM);
    for (int i = 0; i < DIM; i++)
        norm += w[i] * w[i];
    norm = sqrt(norm);
    for (int i = 0; i < DIM; i++)
        u[i] = w[i] / norm;
    for (int i = 0; i < DIM; i++) {
        h[i] = b[i];
        for (int k = 0; k < DIM; k++)
            h[i] += s[i * DIM + k] * u[k];
        along += h[i] * u[i];
    }
    for (int i = 0; i < DIM; i++)
        g[i] = (h[i] - along * u[i]) / norm;
}

/* Trains by a schedule (NULL: constant) and compares every step with the list; returns the
 * largest relative distance. */
static double follow(const json_t *expected, double eta, double decay, double momentum, const char *start)
{
    char params[160], wrapper[160];
    double w[DIM], g[DIM], worst = 0;
    const rv_layout layout = {.count = 1, .tensors = &(rv_tensor){.name = "w", .shape = {1, {DIM}}}, .size = DIM};
    const rv_schedule_info *schedule = rv_schedule_find("li_arora");
    double values[64] = {0};
    rv_error err;
    rv_optimizer *optimizer;
    read_vector(json_object_get(file, "w0"), w, DIM);
    rv_params_init(schedule->params, values);
    rv_params_set_number(schedule->params, values, "lr", eta, NULL);
    rv_params_set_number(schedule->params, values, "weight_decay", decay, NULL);
    rv_params_set_number(schedule->params, values, "momentum", momentum, NULL);
    if (start)
        rv_params_set(schedule->params, values, "start", start, NULL);
    snprintf(params, sizeof params, "lr=%.17g,momentum=%.17g,weight_decay=%.17g", eta, momentum, start ? 0 : decay);
    snprintf(wrapper, sizeof wrapper, "li_arora_start(lr=%.17g,momentum=%.17g,weight_decay=%.17g)", eta, momentum, decay);
    const rv_optimizer_options options = {.method = "sgd", .params = params, .dtype = RV_F64,
                                          .wrappers = start && strcmp(start, "corrected") == 0 ? wrapper : NULL};
    if (rv_optimizer_new_flat(&optimizer, &options, &layout, w, &err) != RV_OK)
        fail_msg("%s", err.message);
    for (int64_t k = 0; k < STEPS; k++) {
        double there[DIM], largest = 0;
        gradient(w, g);
        rv_optimizer_set_lr_factor(optimizer, start ? schedule->factor(values, k, STEPS) : 1);
        if (rv_optimizer_step_flat(optimizer, w, g, &err) != RV_OK)
            fail_msg("%s", err.message);
        read_vector(json_array_get(expected, (size_t)k), there, DIM);
        for (int i = 0; i < DIM; i++)
            largest = fmax(largest, fabs(there[i]));
        for (int i = 0; i < DIM; i++)
            worst = fmax(worst, fabs(w[i] - there[i]) / largest);
    }
    rv_optimizer_free(optimizer);
    return worst;
}

static void test_both_runs(void **state)
{
    (void)state;
    const json_t *runs = json_object_get(file, "runs");
    assert_int_equal(json_array_size(runs), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *run = json_array_get(runs, i);
        const double eta = json_number_value(json_object_get(run, "eta"));
        const double decay = json_number_value(json_object_get(run, "weight_decay"));
        const double momentum = json_number_value(json_object_get(run, "momentum"));
        assert_true(follow(json_object_get(run, "sgd_wd"), eta, decay, momentum, NULL) < 1e-13);
        assert_true(follow(json_object_get(run, "exp_lr_recursive"), eta, decay, momentum, "zero") < 1e-13);
        assert_true(follow(json_object_get(run, "exp_lr_constant_alpha"), eta, decay, momentum, "corrected") < 1e-13);
    }
}

static void test_rates(void **state)
{
    (void)state;
    const json_t *run = json_array_get(json_object_get(file, "runs"), 1);
    const json_t *lrs = json_object_get(run, "exp_lr_recursive_lrs");
    const rv_schedule_info *schedule = rv_schedule_find("li_arora");
    const double eta = json_number_value(json_object_get(run, "eta"));
    double values[64] = {0};
    rv_params_init(schedule->params, values);
    rv_params_set_number(schedule->params, values, "lr", eta, NULL);
    rv_params_set_number(schedule->params, values, "weight_decay", json_number_value(json_object_get(run, "weight_decay")), NULL);
    rv_params_set_number(schedule->params, values, "momentum", json_number_value(json_object_get(run, "momentum")), NULL);
    for (size_t k = 0; k < json_array_size(lrs); k++)
        assert_true(fabs(eta * schedule->factor(values, (int64_t)k, 100) / json_number_value(json_array_get(lrs, k)) - 1) < 1e-13);
    /* Far out the recursion has settled: each step grows by the root squared, exactly. */
    const double a = rv_li_arora_root(eta, json_number_value(json_object_get(run, "weight_decay")),
                                      json_number_value(json_object_get(run, "momentum")));
    const double growth = schedule->factor(values, 5001, 1) / schedule->factor(values, 5000, 1);
    assert_true(fabs(growth * a * a - 1) < 1e-10);
}

static void test_no_root(void **state)
{
    (void)state;
    rv_error err;
    rv_optimizer *optimizer;
    const double w[DIM] = {1};
    const rv_layout layout = {.count = 1, .tensors = &(rv_tensor){.name = "w", .shape = {1, {DIM}}}, .size = DIM};
    const rv_optimizer_options options = {.method = "sgd", .wrappers = "li_arora_start(lr=1,weight_decay=0.5)", .dtype = RV_F64};
    assert_int_equal(rv_optimizer_new_flat(&optimizer, &options, &layout, w, &err), RV_E_RANGE);
    assert_non_null(strstr(err.message, "sqrt(momentum)"));
}

int main(void)
{
    rv_error err;
    if (rv_json_read(RV_TEST_SOURCE "/tests/golden/li_arora_exponential_lr.json", &file, &err) != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_runs), cmocka_unit_test(test_rates),
                                       cmocka_unit_test(test_no_root)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(file);
    return failed;
}
