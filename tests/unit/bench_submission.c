/* Submissions as data: the calculator, the reader, and the official ones of AlgoPerf v0.5 by what is
 * known of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/expression.h"
#include "bench/submission.h"
#include "core/json.h"
#include "core/text.h"

/* ---- expressions -------------------------------------------------------------- */

static const char point_text[] = "{\"beta\": 0.25, \"style\": \"adam\", \"on\": true, \"n\": 3}";
static const char given_text[] = "{\"steps\": 1000, \"batch\": 16}";

static rv_status value_of(const char *expression, json_t **value, rv_error *err)
{
    json_t *point = json_loads(point_text, 0, NULL), *given = json_loads(given_text, 0, NULL);
    rv_scope names = {.point = point, .given = given};
    rv_status status = rv_expression_value(expression, &names, value, err);
    json_decref(point);
    json_decref(given);
    return status;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        double value;
    } good[] = {
        {"1 - beta", 0.75},        {"2 + 3 * 4", 14},        {"(2 + 3) * 4", 20},       {"8 / 4 / 2", 1},
        {"7 - 4 - 2", 1},          {"-beta * -4", 1},        {"floor(beta * 10)", 2},   {"ceil(beta * 10)", 3},
        {"round(2.5)", 3},         {"max(1, n)", 3},         {"min(n, beta) + 1", 1.25}, {"--n", 3},
        {" steps*0.02 ", 20},      {"1e-3 * steps", 1},      {"1.5E+2", 150},           {"max(1, ceil(beta * steps / 20000))", 1},
        {"beta", 0.25},            {"((((n))))", 3},         {"floor(0.29 * steps)", 290},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_t *value = NULL;
        assert_int_equal(value_of(good[i].expression, &value, NULL), RV_OK);
        assert_true(json_number_value(value) == good[i].value);
        json_decref(value);
    }
    json_t *value = NULL;
    assert_int_equal(value_of("style", &value, NULL), RV_OK);
    assert_string_equal(json_string_value(value), "adam");
    json_decref(value);
    assert_int_equal(value_of("on", &value, NULL), RV_OK);
    assert_true(json_is_true(value));
    json_decref(value);
}

static void test_bad_expressions(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "expected a number, a name or '(', found the end"},
        {"1 +", "expected a number, a name or '(', found the end"},
        {"(1", "column 4: expected ')'"},
        {"1 2", "expected an operator or the end, found \"2\""},
        {"max(1)", "expected ','"},
        {"sin(1)", "no function 'sin'"},
        {"btea", "no hyperparameter 'btea'; did you mean 'beta'?"},
        {"style + 1", "'style' is no number"},
        {"1 / (n - 3)", "is not finite"},
        {"1..2", "expected a number"},
        {"1 ; 2", "expected an operator"},
    };
    char deep[300];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *value = NULL;
        rv_error err = {0};
        assert_int_not_equal(value_of(bad[i][0], &value, &err), RV_OK);
        assert_null(value);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("%s\n  said: %s\n  expected: %s", bad[i][0], err.message, bad[i][1]);
    }
    json_t *value = NULL;
    rv_error err = {0};
    assert_int_equal(value_of(deep, &value, &err), RV_E_FORMAT);
    assert_non_null(strstr(err.message, "deep"));
}

/* ---- the reader ------------------------------------------------------------------ */

static const char good[] =
    "{\"name\": \"mine\", \"title\": \"Mine\", \"tuning\": \"external\", \"sampler\": \"sobol\","
    " \"tuning_search_space\": {\"lr\": {\"min\": 1e-4, \"max\": 1e-1, \"scaling\": \"log\"},"
    "                           \"kind\": {\"feasible_points\": [\"a\", \"b\"]}},"
    " \"config\": {\"optimizer\": \"adamw\", \"optimizer_params\": {\"lr\": \"=lr\"},"
    "              \"workload_params\": {\"dropout\": 0.1, \"smoke\": 1}},"
    " \"cases\": [{\"when\": {\"kind\": \"b\"}, \"config\": {\"optimizer_params\": {\"beta1\": \"=1 - 10 * lr\"}}}],"
    " \"batch\": {\"image*\": 0.5, \"*\": 2}, \"overhead\": 1.5}";

static rv_status read_text(const char *text, rv_entrant *entrant, rv_error *err)
{
    json_t *json = NULL;
    *entrant = (rv_entrant){0};
    RV_TRY(rv_json_parse(text, strlen(text), "mine.json", &json, err));
    rv_status status = rv_entrant_read(entrant, json, "mine.json", err);
    json_decref(json);
    return status;
}

#define DROPOUT_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) REAL(dropout, 0, 0, 1, 0, "of everything")
RV_PARAM_STRUCT(dropout_params, DROPOUT_PARAMS);
RV_PARAM_TABLE(dropout_table, "net", dropout_params, DROPOUT_PARAMS);
static const rv_workload net = {.name = "net", .params = &dropout_table};

static double number_in(const json_t *config, const char *group, const char *key)
{
    return rv_json_real(json_object_get(config, group), key, NAN);
}

static void test_reader(void **state)
{
    (void)state;
    rv_entrant e;
    json_t *config = NULL, *given = json_loads(given_text, 0, NULL);
    assert_int_equal(read_text(good, &e, NULL), RV_OK);
    assert_string_equal(e.sampler->info.name, "sobol");
    assert_true(e.overhead == 1.5 && !e.self_tuning);
    assert_true(rv_entrant_batch(&e, "imagenet") == 0.5 && rv_entrant_batch(&e, "wmt") == 2);
    for (int b = 0; b < 2; b++) {
        json_t *point = json_pack("{s:f, s:s}", "lr", 0.01, "kind", b ? "b" : "a");
        assert_int_equal(rv_entrant_config(&e, point, given, &net, &config, NULL), RV_OK);
        assert_true(number_in(config, "optimizer_params", "lr") == 0.01);
        assert_true(number_in(config, "optimizer_params", "beta1") == (b ? 1 - 10 * 0.01 : 0.9));
        assert_true(number_in(config, "optimizer_params", "beta2") == 0.999); /* the method's default */
        assert_true(number_in(config, "workload_params", "dropout") == 0.1);
        assert_null(json_object_get(json_object_get(config, "workload_params"), "smoke")); /* not declared */
        json_decref(config);
        json_decref(point);
    }
    json_decref(given);
    rv_entrant_release(&e);
}

static void test_refused(void **state)
{
    (void)state;
#define HEAD "{\"name\": \"m\", \"title\": \"M\", \"tuning\": \"external\""
    static const char *const bad[][2] = {
        {"[]", "a submission is a JSON object"},
        {"{\"title\": \"M\"}", "'name' must be a text, and is missing"},
        {HEAD "}", "'config' must be an object, and is missing"},
        {HEAD ", \"config\": []}", "'config' must be an object, not []"},
        {HEAD ", \"config\": {}, \"bach\": {}}", "mine.json has no key 'bach'; did you mean 'batch'?"},
        {HEAD ", \"config\": {}, \"batch\": {\"a\": 0}}", "'batch.a' must be a number more than 0"},
        {HEAD ", \"config\": {}, \"overhead\": 0}", "'overhead' must be more than 0"},
        {HEAD ", \"config\": {}, \"sampler\": \"haltno\"}", "no sampler 'haltno'; did you mean 'halton'?"},
        {HEAD ", \"config\": {}, \"tuning_search_space\": 3}", "'tuning_search_space' must be an object of ranges or a list"},
        {HEAD ", \"config\": {}, \"tuning_search_space\": [{\"lr\": 1}]}", "no expression uses the hyperparameter 'lr'"},
        {HEAD ", \"config\": {\"a\": \"=l\"}, \"tuning_search_space\": [{\"lr\": 1}]}",
         "point 1: config: a: \"=l\": no hyperparameter 'l'"},
        {HEAD ", \"config\": {}, \"ignored\": [\"x\"], \"tuning_search_space\": [{\"lr\": 1}]}", "not 'x'"},
        {HEAD ", \"config\": {}, \"ignored\": [\"steps\"], \"tuning_search_space\": [{\"steps\": 1}]}",
         "cannot be called 'steps'"},
        {HEAD ", \"config\": {}, \"cases\": [{\"when\": {}}]}", "case 1: 'config' must be an object, and is missing"},
        {HEAD ", \"config\": {}, \"cases\": [{\"when\": {\"q\": 1}, \"config\": {}}]}", "no hyperparameter 'q'"},
        {"{\"name\": \"m\", \"title\": \"M\", \"tuning\": \"slef\", \"config\": {}}", "\"external\" or \"self\", not \"slef\""},
        {"{\"name\": \"m\", \"title\": \"M\", \"tuning\": \"self\", \"config\": {}, \"tuning_search_space\": [{\"a\": 1}]}",
         "self-tuning submission has no 'tuning_search_space'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rv_entrant e;
        rv_error err = {0};
        assert_int_not_equal(read_text(bad[i][0], &e, &err), RV_OK);
        if (!strstr(err.message, bad[i][1]) || strncmp(err.message, "mine.json", 9) != 0)
            fail_msg("%s\n  said: %s\n  expected: %s", bad[i][0], err.message, bad[i][1]);
        rv_entrant_release(&e);
    }
}

/* Whatever is done to a file, it is read or refused with its name; what is read gives configurations. */
static void test_mutations(void **state)
{
    (void)state;
    enum { ROUNDS = 20000 };
    static const char letters[] = "{}[]\",:=0123456789.e+-*/()abl \x01\xff";
    const char *texts[] = {good, rv_submission_find("generalized_adam")->json};
    json_t *given = json_loads(given_text, 0, NULL);
    int accepted = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        rv_random stream = {2, RV_RANDOM_SEARCH, round};
        char *text = strdup(texts[round % 2]);
        size_t n = strlen(text);
        for (uint64_t k = 0; k <= rv_random_below(stream, 0, 2); k++)
            text[rv_random_below(stream, 3 * k + 1, n)] = letters[rv_random_below(stream, 3 * k + 2, sizeof letters - 1)];
        rv_entrant e;
        rv_error err = {0};
        rv_status status = read_text(text, &e, &err);
        assert_true(status == RV_OK || strncmp(err.message, "mine.json", 9) == 0);
        if (status == RV_OK) {
            accepted++;
            json_t *point = NULL, *config = NULL;
            double middle[16] = {0};
            if (e.has_space && e.space.dims <= 16)
                point = e.space.points ? json_incref(json_array_get(e.space.json, 0)) : rv_space_point(&e.space, middle);
            status = rv_entrant_config(&e, point, given, &net, &config, &err);
            assert_true(status == RV_OK || err.message[0]);
            json_decref(config);
            json_decref(point);
        }
        rv_entrant_release(&e);
        free(text);
    }
    assert_true(accepted > ROUNDS / 50 && accepted < ROUNDS);
    json_decref(given);
}

/* ---- the official ones -------------------------------------------------------------- */

static void read_official(const char *name, rv_entrant *e)
{
    rv_error err = {0};
    const rv_submission *s = rv_submission_find(name);
    assert_non_null(s);
    if (read_text(s->json, e, &err) != RV_OK)
        fail_msg("%s: %s", name, err.message);
}

/* Eleven with five points each, six without any; each says where it comes from. */
static void test_official(void **state)
{
    (void)state;
    int external = 0, own = 0;
    for (int i = 0; rv_submission_at(i); i++) {
        rv_entrant e;
        char *text = NULL;
        read_official(rv_submission_at(i)->name, &e);
        assert_string_equal(e.name, rv_submission_at(i)->name);
        assert_non_null(json_object_get(e.json, "source"));
        assert_true(e.self_tuning ? !e.has_space : e.space.points == 5);
        external += !e.self_tuning;
        own += e.self_tuning;
        rv_entrant_release(&e);
        assert_int_equal(rv_submission_load(rv_submission_at(i)->name, &text, NULL), RV_OK);
        free(text);
    }
    assert_int_equal(external, 11);
    assert_int_equal(own, 6);
    char *text = NULL;
    rv_error err = {0};
    assert_int_equal(rv_submission_load("basline", &text, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "did you mean 'baseline'"));
}

static double hyper(const rv_entrant *e, size_t point, const char *name)
{
    const json_t *p = json_array_get(e->space.json, point - 1);
    char other[80];
    double value = rv_json_real(p, name, NAN);
    snprintf(other, sizeof other, "one_minus_%s", name);
    return isnan(value) ? 1 - rv_json_real(p, other, NAN) : value;
}

/* The points that the teams took from each other and from the baseline, as their descriptions say; an
 * error in one copy of a number shows here.  Where one says beta and the other 1 - beta, the official
 * files have eleven digits in common. */
static void test_shared_points(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t point;
        const char *of;
        size_t original;
    } same[] = {
        {"shampoo", 1, "baseline", 5},        {"shampoo", 5, "baseline", 1},       {"cyclic_lr", 1, "baseline", 2},
        {"cyclic_lr", 2, "baseline", 3},      {"cyclic_lr", 3, "baseline", 5},     {"cyclic_lr", 4, "baseline", 1},
        {"cyclic_lr", 5, "baseline", 5},      {"caspr_adaptive", 4, "baseline", 4}, {"lawa_queue", 2, "baseline", 2},
        {"lawa_ema", 5, "baseline", 5},       {"nadamp", 5, "generalized_adam", 4}, {"nadamp", 3, "generalized_adam", 2},
        {"baseline", 3, "baseline", 1},
    };
    static const char *const names[] = {"learning_rate", "beta1", "beta2", "weight_decay"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        rv_entrant a, b;
        read_official(same[i].name, &a);
        read_official(same[i].of, &b);
        for (size_t k = 0; k < 4; k++)
            assert_true(fabs(hyper(&a, same[i].point, names[k]) - hyper(&b, same[i].original, names[k])) < 1e-11);
        rv_entrant_release(&a);
        rv_entrant_release(&b);
    }
}

/* What points mean, for those whose methods are here. */
static void test_meaning(void **state)
{
    (void)state;
    rv_entrant e;
    json_t *config = NULL, *given = json_loads(given_text, 0, NULL);
    read_official("baseline", &e);
    assert_int_equal(rv_entrant_config(&e, json_array_get(e.space.json, 1), given, &net, &config, NULL), RV_OK);
    assert_true(number_in(config, "optimizer_params", "lr") == 0.0008445074561975979);
    assert_true(number_in(config, "optimizer_params", "beta1") == 1 - 0.11042418465);
    assert_true(number_in(config, "schedule_params", "warmup_steps") == 50);
    assert_true(number_in(config, "train", "clip") == 0);
    assert_true(number_in(config, "workload_params", "dropout") == 0);
    json_decref(config);
    rv_entrant_release(&e);
    read_official("shampoo", &e);
    assert_int_equal(rv_entrant_config(&e, json_array_get(e.space.json, 1), given, &net, &config, NULL), RV_OK);
    assert_true(number_in(config, "train", "horizon") == 600);
    assert_true(number_in(config, "schedule_params", "warmup_steps") == 30);
    json_decref(config);
    assert_int_equal(rv_entrant_config(&e, json_array_get(e.space.json, 2), given, &net, &config, NULL), RV_OK);
    assert_true(number_in(config, "optimizer_params", "momentum") == 1 - 0.03150207249544311);
    assert_string_equal(json_string_value(json_object_get(json_object_get(config, "optimizer_params"), "grafting")), "sgd");
    json_decref(config);
    assert_true(rv_entrant_batch(&e, "librispeech_conformer_layernorm") == 200.0 / 256 && rv_entrant_batch(&e, "wmt") == 1);
    rv_entrant_release(&e);
    read_official("self_sinv6", &e);
    rv_error err = {0};
    assert_int_equal(rv_entrant_config(&e, NULL, given, &net, &config, &err), RV_E_UNSUPPORTED);
    rv_entrant_release(&e);
    json_decref(given);
}

static void test_missing(void **state)
{
    (void)state;
    char text[64];
    assert_int_equal(rv_submission_missing("{\"config\": {\"optimizer\": \"adamw\", \"schedule\": \"constant\"}}", text, sizeof text), 0);
    rv_submission_missing("{\"config\": {\"optimizer\": \"q\"}, \"cases\": [{\"config\": {\"schedule\": \"r\","
                          " \"wrappers\": [{\"name\": \"ema\"}, {\"name\": \"s\"}]}}]}", text, sizeof text);
    assert_string_equal(text, "q, r, s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_bad_expressions), cmocka_unit_test(test_reader),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_mutations),       cmocka_unit_test(test_official),
        cmocka_unit_test(test_shared_points), cmocka_unit_test(test_meaning),         cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
