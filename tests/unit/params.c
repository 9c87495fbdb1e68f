/* Tables of parameters: every refusal, and text that reads back to the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "ravine/param.h"

#define DEMO_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                            \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate") \
    REAL(beta2, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay")                       \
    REAL(target, NAN, -HUGE_VAL, HUGE_VAL, 0, "goal")                         \
    INT(steps, 1000, 1, 1e15, 0, "steps")                                     \
    BOOL(nesterov, false, "look ahead")                                       \
    CHOICE(decay, "decoupled|l2", "decoupled", "how decay enters")            \
    TEXT(label, "x", "a label")
RV_PARAM_STRUCT(demo_params, DEMO_PARAMS);
RV_PARAM_TABLE(demo, "demo", demo_params, DEMO_PARAMS);

static demo_params fresh(void)
{
    demo_params p;
    rv_params_init(&demo, &p);
    return p;
}

static void defaults(void **state)
{
    (void)state;
    demo_params p = fresh();
    assert_true(p.lr == 1e-3 && p.beta2 == 0.999 && isnan(p.target) && p.steps == 1000);
    assert_true(!p.nesterov && p.decay == 0);
    assert_string_equal(p.label, "x");
    assert_int_equal(rv_params_check(&demo, NULL), RV_OK);
}

static void accepted(void **state)
{
    (void)state;
    demo_params p = fresh();
    assert_int_equal(rv_params_set(&demo, &p, "lr", "3e-4", NULL), RV_OK);
    assert_int_equal(rv_params_set(&demo, &p, "steps", "2e6", NULL), RV_OK);
    assert_int_equal(rv_params_set(&demo, &p, "nesterov", "true", NULL), RV_OK);
    assert_int_equal(rv_params_set(&demo, &p, "decay", "l2", NULL), RV_OK);
    assert_int_equal(rv_params_set(&demo, &p, "target", "0.5", NULL), RV_OK);
    assert_true(p.lr == 3e-4 && p.steps == 2000000 && p.nesterov && p.decay == 1 && p.target == 0.5);
    assert_int_equal(rv_params_set(&demo, &p, "target", "none", NULL), RV_OK);
    assert_true(isnan(p.target));
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        rv_status status;
    } cases[] = {
        {"lr", "nan", RV_E_ARGUMENT},     {"lr", "inf", RV_E_RANGE},     {"lr", "-1", RV_E_RANGE},
        {"lr", "1e999", RV_E_ARGUMENT},   {"lr", "", RV_E_ARGUMENT},     {"lr", "1x", RV_E_ARGUMENT},
        {"lr", "0x10", RV_E_ARGUMENT},    {"lr", " 1", RV_E_ARGUMENT},   {"lr", "none", RV_E_ARGUMENT},
        {"lr", "0,5", RV_E_ARGUMENT},     {"beta2", "1", RV_E_RANGE},    {"steps", "1.5", RV_E_ARGUMENT},
        {"steps", "0", RV_E_RANGE},       {"steps", "1e16", RV_E_ARGUMENT}, {"target", "nan", RV_E_ARGUMENT},
        {"nesterov", "maybe", RV_E_ARGUMENT}, {"decay", "l", RV_E_ARGUMENT}, {"decay", "", RV_E_ARGUMENT},
        {"Lr", "1", RV_E_UNKNOWN},
    };
    demo_params before = fresh();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        demo_params p = fresh();
        rv_error err = {0};
        assert_int_equal(rv_params_set(&demo, &p, cases[i].name, cases[i].text, &err), cases[i].status);
        assert_non_null(strstr(err.message, "demo"));
        assert_non_null(strstr(err.message, cases[i].name));
        assert_memory_equal(&p, &before, sizeof p);
    }
    demo_params p = fresh();
    char text[RV_PARAM_TEXT_SIZE + 1];
    memset(text, 'a', sizeof text);
    text[RV_PARAM_TEXT_SIZE] = '\0';
    assert_int_equal(rv_params_set(&demo, &p, "label", text, NULL), RV_E_RANGE);
}

static void nearest_is_named(void **state)
{
    (void)state;
    demo_params p = fresh();
    rv_error err = {0};
    assert_int_equal(rv_params_set(&demo, &p, "beta", "1", &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "\"beta2\""));
    assert_int_equal(rv_params_set(&demo, &p, "zzzzzz", "1", &err), RV_E_UNKNOWN);
    assert_null(strstr(err.message, "did you mean"));
}

static void text_reads_back(void **state)
{
    (void)state;
    rv_random stream = {1, RV_RANDOM_PROBE, 0};
    demo_params p = fresh(), q = fresh();
    char text[64];
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t word[4];
        rv_random_block(stream, i, word);
        uint64_t bits = (uint64_t)word[0] << 32 | word[1];
        memcpy(&p.target, &bits, sizeof bits);
        if (!isfinite(p.target))
            continue;
        rv_params_get(rv_params_find(&demo, "target"), &p, text, sizeof text);
        assert_int_equal(rv_params_set(&demo, &q, "target", text, NULL), RV_OK);
        assert_memory_equal(&p.target, &q.target, sizeof p.target);
    }
}

static void shortest(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},     {3e-4, "0.0003"}, {1e-5, "1e-5"},   {1e22, "1e22"},   {1, "1"},
                 {-0.0, "-0.0"},   {1.0 / 3, "0.3333333333333333"},
                 {1e15, "1e15"},   {123456, "123456"}, {0.1 + 0.2, "0.30000000000000004"}};
    char text[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rv_json_number(cases[i].value, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void json_both_ways(void **state)
{
    (void)state;
    demo_params p = fresh(), q = fresh();
    p.lr = 0.1;
    p.decay = 1;
    p.target = -0.0;
    json_t *object = rv_params_to_json(&demo, &p);
    assert_int_equal(rv_params_from_json(&demo, &q, object, NULL), RV_OK);
    assert_memory_equal(&p, &q, sizeof p);
    char *text = rv_json_text(object, 0);
    assert_string_equal(text, "{\"lr\":0.1,\"beta2\":0.999,\"target\":-0.0,\"steps\":1000,\"nesterov\":false,"
                              "\"decay\":\"l2\",\"label\":\"x\"}");
    json_t *again = NULL;
    assert_int_equal(rv_json_parse(text, strlen(text), "text", &again, NULL), RV_OK);
    char *second = rv_json_text(again, 0);
    assert_string_equal(text, second);
    free(text);
    free(second);
    json_decref(object);
    json_decref(again);
    p = fresh();
    object = rv_params_to_json(&demo, &p);
    assert_true(json_is_null(json_object_get(object, "target")));
    assert_int_equal(rv_params_from_json(&demo, &q, object, NULL), RV_OK);
    assert_true(isnan(q.target));
    json_decref(object);
}

static void json_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"lr\":null}", "{\"lr\":true}",  "{\"lr\":[1]}",   "{\"lr\":\"nan\"}", "{\"steps\":1.5}",
        "{\"bta2\":1}",  "{\"label\":3}",  "{\"decay\":0}",  "{\"nesterov\":1}", "{\"nesterov\":\"true\"}",
        "{\"beta2\":1}", "[1]",            "{\"steps\":\"x\"}", "{\"what\":null}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        demo_params p = fresh(), before = fresh();
        json_t *object = NULL;
        rv_error err = {0};
        assert_int_equal(rv_json_parse(cases[i], strlen(cases[i]), "case", &object, NULL), RV_OK);
        assert_int_not_equal(rv_params_from_json(&demo, &p, object, &err), RV_OK);
        assert_true(err.message[0] != '\0');
        assert_memory_equal(&p, &before, sizeof p);
        json_decref(object);
    }
}

static void any_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "C"};
    for (size_t i = 0; i < 4 && setlocale(LC_ALL, names[i]) == NULL; i++)
        ;
    text_reads_back(state);
    shortest(state);
    setlocale(LC_ALL, "C");
}

static void self_check_finds(void **state)
{
    (void)state;
    static const rv_param outside[] = {{"a", RV_PARAM_REAL, 0, 0, 1, 0, NULL, "2", "outside"}};
    static const rv_param twice[] = {{"a", RV_PARAM_REAL, 0, 0, 1, 0, NULL, "1", "one"},
                                     {"a", RV_PARAM_REAL, 0, 0, 1, 0, NULL, "1", "two"}};
    static const rv_param silent[] = {{"a", RV_PARAM_REAL, 0, 0, 1, 0, NULL, "1", ""}};
    rv_param_table bad = {"bad", outside, 1, sizeof(double)};
    assert_int_equal(rv_params_check(&bad, NULL), RV_E_RANGE);
    bad = (rv_param_table){"bad", twice, 2, sizeof(double)};
    assert_int_equal(rv_params_check(&bad, NULL), RV_E_ARGUMENT);
    bad = (rv_param_table){"bad", silent, 1, sizeof(double)};
    assert_int_equal(rv_params_check(&bad, NULL), RV_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),        cmocka_unit_test(accepted),     cmocka_unit_test(refused),
        cmocka_unit_test(nearest_is_named), cmocka_unit_test(text_reads_back), cmocka_unit_test(shortest),
        cmocka_unit_test(json_both_ways),  cmocka_unit_test(json_refused), cmocka_unit_test(any_locale),
        cmocka_unit_test(self_check_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
