/* Schedules against torch.optim.lr_scheduler (lr_schedules.json) and closed forms. */
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
#include "ravine/optim.h"

/* The factor of a schedule with parameters "name=value ..." at a step. */
static double factor(const char *schedule, const char *params, int64_t step, int64_t total)
{
    const rv_schedule_info *info = rv_schedule_find(schedule);
    assert_non_null(info);
    double values[64] = {0};
    assert_true(info->params->size <= sizeof values);
    rv_params_init(info->params, values);
    char copy[256], *rest = NULL;
    strncpy(copy, params, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *item = strtok_r(copy, " ", &rest); item; item = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(item, '=');
        rv_error err;
        *equals = 0;
        if (rv_params_set(info->params, values, item, equals + 1, &err) != RV_OK)
            fail_msg("%s", err.message);
    }
    return info->factor(values, step, total);
}

static json_t *golden;

static void check(const char *entry, const char *schedule, const char *params, int64_t total, int64_t steps)
{
    const json_t *object = json_object_get(golden, entry);
    const json_t *lr = json_object_get(object, "lr_at_step_0_based");
    const double base = json_number_value(json_object_get(json_object_get(object, "hyperparameters"), "base_lr"));
    assert_true((int64_t)json_array_size(lr) >= steps);
    for (int64_t k = 0; k < steps; k++) {
        const double expected = json_number_value(json_array_get(lr, (size_t)k)) / base;
        const double found = factor(schedule, params, k, total);
        if (fabs(found - expected) > 1e-13)
            fail_msg("%s step %d: expected %.17g, found %.17g", entry, (int)k, expected, found);
    }
}

static void test_golden(void **state)
{
    (void)state;
    check("linear_warmup", "warmup", "warmup_steps=10 start=1e-10 ramp=zero", 40, 40);
    check("linear_decay", "linear", "", 40, 40);
    check("multistep", "multistep", "first=0.125 second=0.5 third=0.75", 40, 40);
    check("cosine", "cosine", "", 40, 40);
    check("cosine_eta_min", "cosine", "end=0.1", 30, 31); /* torch goes on oscillating, here it stays */
    check("warmup_cosine_algoperf_shampoo", "warmup_cosine", "warmup_steps=8 start=1e-10 ramp=zero", 40, 40);
    check("wsd_linear", "wsd", "warmup_steps=5 decay_steps=10 decay=linear", 40, 40);
    check("wsd_1_minus_sqrt", "wsd", "warmup_steps=5 decay_steps=10 decay=sqrt", 40, 40);
}

/* nanoGPT's get_lr, written as there. */
static double nanogpt(int64_t it, double lr, double min_lr, int64_t warmup, int64_t decay)
{
    if (it < warmup)
        return lr * (double)(it + 1) / (double)(warmup + 1);
    if (it > decay)
        return min_lr;
    const double ratio = (double)(it - warmup) / (double)(decay - warmup);
    return min_lr + 0.5 * (1.0 + cos(M_PI * ratio)) * (lr - min_lr);
}

static void test_nanogpt(void **state)
{
    (void)state;
    for (int64_t it = 0; it < 2100; it += 7)
        assert_true(fabs(factor("warmup_cosine", "warmup_steps=100 ramp=nanogpt end=0.1", it, 2000) -
                         nanogpt(it, 1, 0.1, 100, 2000)) < 1e-14);
}

static void test_ends(void **state)
{
    (void)state;
    assert_true(factor("constant", "", 0, 10) == 1 && factor("constant", "", 1000, 10) == 1);
    assert_true(factor("warmup", "warmup_steps=10", 0, 100) == 0.1);
    assert_true(factor("warmup", "warmup_steps=10", 9, 100) == 1);
    assert_true(factor("warmup", "warmup_fraction=0.1", 4, 100) == 0.5); /* of 100 steps: 10 */
    assert_true(factor("warmup_linear", "warmup_steps=10 end=0.2", 10, 110) == 1);
    assert_true(fabs(factor("warmup_linear", "warmup_steps=10 end=0.2", 60, 110) - 0.6) < 1e-15);
    assert_true(factor("warmup_linear", "warmup_steps=10 end=0.2", 110, 110) == 0.2);
    assert_true(factor("warmup_linear", "warmup_steps=20", 15, 10) == 0.8); /* longer than the run */
}

/* Whatever step and total are, a factor is a finite number from 0 to 1. */
static void test_total(void **state)
{
    (void)state;
    static const int64_t ends[] = {0, 1, 2, 3, 50, INT64_C(1) << 31, INT64_C(1) << 40};
    static const int64_t steps[] = {0, 1, 2, 3, 49, 50, 51, (INT64_C(1) << 31) - 1, INT64_C(1) << 31, INT64_C(1) << 41};
    for (int s = 0; rv_schedule_at(s); s++)
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
                const double f = factor(rv_schedule_at(s)->name, "", steps[k], ends[i]);
                if (!(f >= 0 && f <= 1))
                    fail_msg("%s at %lld of %lld: %g", rv_schedule_at(s)->name, (long long)steps[k],
                             (long long)ends[i], f);
            }
}

static void test_tables(void **state)
{
    (void)state;
    for (int s = 0; rv_schedule_at(s); s++) {
        rv_error err;
        const rv_schedule_info *info = rv_schedule_at(s);
        if (info->params->count > 0 && rv_params_check(info->params, &err) != RV_OK)
            fail_msg("%s: %s", info->name, err.message);
        assert_true(info->title && info->equation && info->reference);
        assert_ptr_equal(rv_schedule_find(info->name), info);
    }
    assert_null(rv_schedule_find("none"));
}

int main(void)
{
    rv_error err;
    if (rv_json_read(RV_TEST_SOURCE "/tests/golden/lr_schedules.json", &golden, &err) != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden), cmocka_unit_test(test_nanogpt), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_total),  cmocka_unit_test(test_tables),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
