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

/* The list `key` of an entry, whose first value is that of step `first`, against base times the factor. */
static void check_list(const char *entry, const char *key, double base, const char *schedule, const char *params,
                       int64_t total, int64_t first, int64_t steps)
{
    const json_t *lr = json_object_get(json_object_get(golden, entry), key);
    assert_true((int64_t)json_array_size(lr) >= steps);
    for (int64_t k = 0; k < steps; k++) {
        const double expected = json_number_value(json_array_get(lr, (size_t)k)) / base;
        const double found = factor(schedule, params, k + first, total);
        if (fabs(found - expected) > 1e-13)
            fail_msg("%s step %d: expected %.17g, found %.17g", entry, (int)k, expected, found);
    }
}

static void check(const char *entry, const char *schedule, const char *params, int64_t total, int64_t steps)
{
    const json_t *hyper = json_object_get(json_object_get(golden, entry), "hyperparameters");
    check_list(entry, "lr_at_step_0_based", json_number_value(json_object_get(hyper, "base_lr")), schedule, params, total, 0,
               steps);
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
    check("step", "step", "every=10 gamma=0.5", 40, 40);
    check("exponential", "exponential", "gamma=0.9", 40, 40);
    check("polynomial", "polynomial", "steps=30 power=2", 40, 40);
    check("sgdr", "sgdr", "period=7 growth=2 end=0.01", 40, 40);
    check("inverse_sqrt", "inverse_sqrt", "warmup_steps=5", 40, 40);
}

/* Entries whose base is another: the largest rate, the largest momentum, eta. */
static void test_golden_cycles(void **state)
{
    (void)state;
    const char *lr = "lr_at_step_0_based", *momentum = "momentum_at_step_0_based";
    check_list("onecycle_cos", lr, 0.5, "one_cycle", "rise=0.3 div=25 final_div=1e4", 40, 0, 40);
    check_list("onecycle_cos", momentum, 0.95, "one_cycle_momentum", "rise=0.3", 40, 0, 40);
    const char *three = "rise=0.4 anneal=linear three_phase=true";
    check_list("onecycle_linear_3phase", momentum, 0.95, "one_cycle_momentum", three, 40, 0, 40);
    check_list("onecycle_linear_3phase", lr, 0.5, "one_cycle",
               "rise=0.4 anneal=linear three_phase=true div=10 final_div=100", 40, 0, 40);
    static const char *const modes[] = {"triangular", "triangular2", "exp_range"};
    for (int i = 0; i < 3; i++) {
        char entry[64], params[128];
        snprintf(entry, sizeof entry, "cyclic_%s", modes[i]);
        snprintf(params, sizeof params, "low=0.1 up=4 down=6 gamma=0.95 mode=%s", modes[i]);
        check_list(entry, lr, 0.1, "cyclic", params, 40, 0, 40);
        snprintf(params, sizeof params, "low=0.888888888888888889 up=4 down=6 gamma=0.95 mode=%s", modes[i]);
        check_list(entry, momentum, 0.9, "cyclic_momentum", params, 40, 0, 40);
    }
    check_list("noam", "lr_at_step_1_based", 1, "noam", "d_model=64 warmup_steps=5", 40, 0, 40);
    check_list("algoperf_cyclic_warmcosinecycles", "lr_after_scheduler_step_1_based", 0.1, "warmup_cosine_cycles",
               "warmup_steps=4 cycles=2", 40, 1, 40);
    check_list("algoperf_warmcosine", "lr_after_scheduler_step_1_based", 0.1, "warmup_cosine_cycles",
               "warmup_steps=8 cycles=1", 40, 1, 40);
    assert_true(factor("warmup_cosine_cycles", "warmup_steps=8", 0, 40) == 1); /* the very first update */
    check_list("exp_increasing_li_arora", lr, 0.1, "li_arora", "start=corrected", 40, 0, 40);
}

/* The nested cosines of CASPR Adaptive, by the values at the joints and a sample within. */
static void test_nested_cosine(void **state)
{
    (void)state;
    const int64_t total = 10000;
    const char *params = "warmup_fraction=0.05";
    const double outer_first = (1 + cos(M_PI * (5357.1619898 - 500) / 9500)) / 2;
    const double outer_second = (1 + cos(M_PI * (7500.0 - 500) / 9500)) / 2;
    assert_true(factor("nested_cosine", params, 0, total) == 0);
    assert_true(factor("nested_cosine", params, 267, total) == 1); /* warm-up over int(0.05 * 5357.16) steps */
    assert_true(factor("nested_cosine", params, 5357, total) < 1e-8);
    assert_true(fabs(factor("nested_cosine", params, 5358, total) - outer_first) < 1e-6);
    assert_true(fabs(factor("nested_cosine", params, 7500, total) - outer_second) < 1e-15);
    const double inside = outer_first * (1 + cos(M_PI * (6000 - 5357.1619898) / (7500 - 5357.1619898))) / 2;
    assert_true(fabs(factor("nested_cosine", params, 6000, total) - inside) < 1e-14);
    assert_true(factor("nested_cosine", params, 10000, total) == 0);
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

/* Whatever step and total are, a factor is a finite number from 0 to 1; only rates that are made
 * to grow go beyond. */
static void test_total(void **state)
{
    (void)state;
    static const int64_t ends[] = {0, 1, 2, 3, 50, INT64_C(1) << 31, INT64_C(1) << 40};
    static const int64_t steps[] = {0, 1, 2, 3, 49, 50, 51, (INT64_C(1) << 31) - 1, INT64_C(1) << 31, INT64_C(1) << 41};
    for (int s = 0; rv_schedule_at(s); s++)
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
                const double f = factor(rv_schedule_at(s)->name, "", steps[k], ends[i]);
                const bool grows = strcmp(rv_schedule_at(s)->name, "li_arora") == 0;
                if (!(f >= 0 && f <= (grows ? 1e300 : 1)))
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
        cmocka_unit_test(test_golden), cmocka_unit_test(test_golden_cycles), cmocka_unit_test(test_nested_cosine),
        cmocka_unit_test(test_nanogpt), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_total),  cmocka_unit_test(test_tables),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
