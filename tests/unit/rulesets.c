/* Built-in rulesets are whole, inherit what they do not say, and a misspelt one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "ravine/score.h"

static rv_ruleset *load(const char *name)
{
    rv_ruleset *ruleset;
    rv_error err = {0};
    if (rv_ruleset_load(&ruleset, name, &err) != RV_OK)
        fail_msg("%s", err.message);
    return ruleset;
}

static void test_all_load(void **state)
{
    (void)state;
    int count = 0;
    for (; rv_ruleset_name(count); count++) {
        rv_ruleset *ruleset = load(rv_ruleset_name(count));
        assert_string_equal(ruleset->name, rv_ruleset_name(count));
        assert_true(ruleset->title[0] && ruleset->source[0]);
        rv_ruleset_free(ruleset);
    }
    assert_true(count >= 8);
    assert_null(rv_ruleset_json("v0.4"));
}

static void test_external(void **state)
{
    (void)state;
    rv_ruleset *r = load("v0.5-external");
    assert_false(r->self_tuning);
    assert_int_equal(r->studies, 5);
    assert_int_equal(r->trials, 5);
    assert_int_equal(r->base_count, 8);
    assert_int_equal(r->workload_count, 14);
    assert_int_equal(r->points, 100);
    assert_int_equal(r->pick, RV_PICK_EVALUATION);
    int vit = rv_ruleset_find(r, "imagenet_vit"), tanh = rv_ruleset_find(r, "fastmri_tanh");
    assert_true(r->workloads[vit].maximize && r->workloads[vit].target == 0.77309 && r->workloads[vit].budget == 77520);
    assert_null(r->workloads[vit].guards);
    assert_string_equal(r->workloads[tanh].guards, "fastmri");
    assert_int_equal(rv_ruleset_find(r, "fastmri_layernorm"), -1);
    rv_ruleset_free(r);
}

static void test_inheritance(void **state)
{
    (void)state;
    rv_ruleset *self = load("v0.5-self"), *v06 = load("v0.6-self"), *a100 = load("v0.6-self-a100");
    int criteo = rv_ruleset_find(self, "criteo1tb");
    assert_true(self->self_tuning && self->trials == 1 && self->studies == 5);
    assert_true(self->workloads[criteo].budget == 3 * 7703 && self->workloads[criteo].steps == 31998);
    assert_int_equal(self->workload_count, 14);
    assert_true(v06->studies == 3 && v06->workload_count == 8 && v06->base_count == 8);
    assert_true(v06->workloads[rv_ruleset_find(v06, "ogbg")].budget == 1.5 * 12011);
    int lm = rv_ruleset_find(a100, "finewebedu_lm"), ogbg = rv_ruleset_find(a100, "ogbg");
    assert_true(a100->base_count == 9 && lm >= 0 && !a100->workloads[lm].maximize);
    assert_true(a100->workloads[ogbg].budget == 1.5 * 11303 && a100->workloads[ogbg].target == 0.28098);
    rv_ruleset_free(self);
    rv_ruleset_free(v06);
    rv_ruleset_free(a100);
}

static void refuse(const char *json, const char *words)
{
    rv_ruleset *ruleset;
    rv_error err = {0};
    assert_int_equal(rv_ruleset_parse(&ruleset, json, "mine.json", &err), RV_E_FORMAT);
    assert_null(ruleset);
    if (!strstr(err.message, words) || !strstr(err.message, "mine.json"))
        fail_msg("expected '%s' in: %s", words, err.message);
}

static void test_errors(void **state)
{
    (void)state;
    refuse("[]", "must be a JSON object");
    refuse("{\"extends\": \"v0.4\"}", "'extends'");
    refuse("{\"extends\": \"ravine\", \"tau_maks\": 3}", "did you mean 'tau_max'");
    refuse("{\"extends\": \"ravine\", \"rules\": [\"cut\", \"cut\"]}", "twice");
    refuse("{\"extends\": \"ravine\", \"rules\": [\"cutt\"]}", "\"cut\"");
    refuse("{\"extends\": \"ravine\", \"points\": 1}", "points");
    refuse("{\"extends\": \"ravine\", \"studies\": 2.5}", "whole");
    refuse("{\"extends\": \"ravine\", \"tau_max\": 1}", "tau_max");
    refuse("{\"extends\": \"ravine\", \"pick\": \"best\"}", "\"setting\"");
    refuse("{\"extends\": \"ravine\", \"workloads\": {\"x\": {\"guards\": \"y\"}}}", "'y', which is no base");
    refuse("{\"extends\": \"ravine\", \"workloads\": {\"x\": {\"better\": \"up\"}}}", "\"higher\"");
    refuse("{\"extends\": \"ravine\", \"workloads\": {\"x\": 3}}", "workload 'x'");
    refuse("{\"name\": \"x\"}", "'title'");
    rv_ruleset *ruleset;
    rv_error err = {0};
    assert_int_equal(rv_ruleset_load(&ruleset, "v0.5-externel", &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "v0.5-external"));
    rv_ruleset_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_load),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
