/* Evidence against the worked examples of the track's own rules, and the rule that one stopping
 * step holds for all seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>

#include "bench/evidence.h"
#include "core/json.h"
#include "report_folder.h"

static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g is not %.9g", a, b);
}

/* README of the track, "Rules" and "Pairwise statistical significance". */
static void test_worked_examples(void **state)
{
    (void)state;
    assert_true(rv_evidence_reached(3.28, 3.276, 1) >= 0.004 - 1e-12);
    assert_true(rv_evidence_reached(3.28, 3.278, 4) >= 0.004 - 1e-12);
    assert_true(rv_evidence_reached(3.28, 3.2790, 4) < 0.004);
    assert_near(rv_evidence_better(3.2785, 3210, 10, 3.2785, 3225, 16, 0.000045), 0.00167, 5e-6);
    /* Its second example takes 16 seeds for one of the two, as here. */
    assert_near(rv_evidence_better(3.2785, 3210, 16, 3.2778, 3250, 10, 0.000045), 0.0027, 5e-5);
    assert_near(rv_evidence_better(3.2790, 3325, 20, 3.2788, 3375, 20, 0.000045), 0.00648, 5e-6);
    assert_near(rv_evidence_p(RV_EVIDENCE_Z), 0.001, 1e-12);
    assert_near(rv_evidence_p(0), 0.5, 0);
}

static json_t *report(const char *table, rv_evidence_options options)
{
    char *text;
    json_t *json;
    rv_error err = {0};
    write_file("e", "t.csv", table);
    if (rv_evidence_report(&text, path_of("e/t.csv"), &options, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rv_json_parse(text, strlen(text), "report", &json, NULL), RV_OK);
    free(text);
    return json;
}

static const json_t *method(const json_t *json, size_t i)
{
    return json_array_get(json_object_get(json, "methods"), i);
}

static const rv_evidence_options track = {.target = 3.28, .sigma = 0.0013, .margin = 0.004, .loss_per_step = 0.000045};

/* Seed 0 is through at step 100 and seed 1 only at 125, where both were evaluated: a step that
 * one of them lacks does not count, however good it is. */
static void test_one_step_for_all_seeds(void **state)
{
    (void)state;
    json_t *json = report("submission,seed,step,loss\n"
                          "a,0,50,3.30\na,0,100,3.270\na,0,110,3.20\na,0,125,3.274\n"
                          "a,1,50,3.31\na,1,100,3.286\na,1,125,3.275\n",
                          track);
    assert_near(rv_json_real(method(json, 0), "step", NAN), 125, 0);
    assert_near(rv_json_real(method(json, 0), "mean", NAN), 3.2745, 1e-12);
    assert_near(rv_json_real(method(json, 0), "z", NAN), 0.0055 * sqrt(2) / 0.0013, 1e-9);
    assert_true(json_is_true(json_object_get(method(json, 0), "reached")));
    json_decref(json);
}

static void test_pairs(void **state)
{
    (void)state;
    json_t *json = report("method,run,step,val_loss\na,x,100,3.270\nb,x,140,3.270\nc,x,100,3.290\n", track);
    const json_t *pairs = json_object_get(json, "pairs"), *first = json_array_get(pairs, 0);
    assert_int_equal(json_array_size(pairs), 3);
    assert_string_equal(json_string_value(json_object_get(first, "better")), "a");
    assert_near(rv_json_real(first, "statistic", NAN), 40 * 0.000045 / sqrt(2), 1e-12);
    assert_false(json_is_true(json_object_get(first, "significant")));
    assert_false(json_is_true(json_object_get(method(json, 2), "reached")));
    assert_true(json_is_true(json_object_get(json_array_get(pairs, 1), "significant"))); /* a against c */
    json_decref(json);
}

/* Without a sigma it is pooled over methods: variances 1 and 4, one degree of freedom each. */
static void test_pooled_sigma(void **state)
{
    (void)state;
    double half = sqrt(2) / 2;
    char table[512];
    snprintf(table, sizeof table, "submission,seed,step,loss\na,0,1,%.17g\na,1,1,%.17g\nb,0,1,%.17g\nb,1,1,%.17g\n",
             10 - half, 10 + half, 10 - 2 * half, 10 + 2 * half);
    json_t *json = report(table, (rv_evidence_options){.target = 9, .sigma = NAN, .margin = NAN});
    assert_near(rv_json_real(json, "sigma", NAN), sqrt(2.5), 1e-12);
    assert_near(rv_json_real(json, "margin", NAN), RV_EVIDENCE_Z * sqrt(2.5), 1e-12);
    json_decref(json);
}

static void test_larger_is_better(void **state)
{
    (void)state;
    json_t *json = report("submission,seed,step,value\na,0,1,0.5\na,0,2,0.95\n",
                          (rv_evidence_options){.target = 0.9, .sigma = 0.01, .margin = NAN, .maximize = true});
    assert_near(rv_json_real(method(json, 0), "step", NAN), 2, 0);
    assert_near(rv_json_real(method(json, 0), "mean", NAN), 0.95, 0);
    json_decref(json);
}

static void refuse(const char *table, rv_evidence_options options, const char *words)
{
    char *text;
    rv_error err = {0};
    write_file("e", "t.csv", table);
    assert_int_not_equal(rv_evidence_report(&text, path_of("e/t.csv"), &options, &err), RV_OK);
    if (!strstr(err.message, words))
        fail_msg("expected '%s' in: %s", words, err.message);
}

static void test_errors(void **state)
{
    (void)state;
    refuse("submission,seed,loss\n", track, "expected the columns");
    refuse("submission,seed,step,loss\n", track, "no evaluation");
    refuse("submission,seed,step,loss\na,0,1,x\n", track, "t.csv:2: 'x' is no number");
    refuse("submission,seed,step,loss\na,0,,3\n", track, "t.csv:2: no step");
    refuse("submission,seed,step,loss\na,0,1,3\na,0,1,3\n", track, "two evaluations at step 1");
    refuse("submission,workload,seed,step,loss\na,u,0,1,3\na,v,0,1,3\n", track, "several workloads (u, v, ...)");
    refuse("submission,seed,step,loss\na,0,1,3\n", (rv_evidence_options){.target = 3, .sigma = NAN, .margin = NAN},
           "give sigma");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_worked_examples), TEST(test_one_step_for_all_seeds), TEST(test_pairs),
        TEST(test_pooled_sigma),    TEST(test_larger_is_better),       TEST(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
