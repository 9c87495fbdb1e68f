/* Rules and parameters: which tensor goes where, whose value wins, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ravine/optim.h"

static const rv_tensor tensors[] = {
    {.name = "embed", .role = RV_ROLE_EMBEDDING, .shape = {2, {5, 4}}},
    {.name = "block0.qkv", .role = RV_ROLE_HIDDEN, .shape = {2, {12, 4}}},
    {.name = "block0.gate", .role = RV_ROLE_HIDDEN, .shape = {1, {4}}},
    {.name = "stem", .role = RV_ROLE_FIRST_CONV, .shape = {4, {2, 1, 3, 3}}},
    {.name = "conv", .role = RV_ROLE_CONV, .shape = {4, {2, 2, 3, 3}}},
    {.name = "bias", .role = RV_ROLE_BIAS, .shape = {1, {4}}},
    {.name = "head", .role = RV_ROLE_HEAD, .shape = {2, {3, 4}}},
};
enum { COUNT = sizeof tensors / sizeof tensors[0] };
static double w[COUNT][64], g[COUNT][64];

static rv_status make(rv_optimizer **out, const char *method, const char *params, const char *rules, rv_error *err)
{
    const void *parts[COUNT];
    for (int i = 0; i < COUNT; i++)
        parts[i] = w[i];
    const rv_optimizer_options options = {.method = method, .params = params, .rules = rules, .dtype = RV_F64};
    return rv_optimizer_new(out, &options, tensors, COUNT, parts, err);
}

static rv_optimizer *made(const char *method, const char *params, const char *rules)
{
    rv_optimizer *optimizer;
    rv_error err;
    if (make(&optimizer, method, params, rules, &err) != RV_OK)
        fail_msg("%s", err.message);
    return optimizer;
}

static void refused(const char *method, const char *params, const char *rules, rv_status status, const char *word)
{
    rv_optimizer *optimizer;
    rv_error err = {0};
    assert_int_equal(make(&optimizer, method, params, rules, &err), status);
    assert_null(optimizer);
    if (!strstr(err.message, word))
        fail_msg("'%s' lacks '%s'", err.message, word);
}

static double value(const rv_optimizer *optimizer, const char *name)
{
    double found;
    rv_error err;
    if (rv_optimizer_get(optimizer, name, &found, &err) != RV_OK)
        fail_msg("%s", err.message);
    return found;
}

/* As the reference: hidden matrices and all kernels but the first to Muon, the rest to AdamW. */
static void test_muon_rules(void **state)
{
    (void)state;
    static const char *const expected[COUNT] = {"adamw", "muon", "adamw", "adamw", "muon", "adamw", "adamw"};
    rv_optimizer *optimizer = made("muon", NULL, NULL);
    rv_optimizer_row rows[COUNT];
    assert_int_equal(rv_optimizer_rows(optimizer, rows, COUNT), COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(rows[i].tensor, tensors[i].name);
        assert_string_equal(rows[i].method, expected[i]);
        assert_true(rows[i].lr == (strcmp(expected[i], "muon") == 0 ? 0.02 : 3e-4));
    }
    assert_true(value(optimizer, "adamw.beta2") == 0.95 && value(optimizer, "adamw.eps") == 1e-10);
    rv_optimizer_free(optimizer);
}

static void test_params_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "lr=0.5, adamw.lr = 0.25 ,nesterov=false",
        "{\"lr\": 0.5, \"adamw.lr\": 0.25, \"nesterov\": false}",
        "{\"lr\": \"0.5\", \"adamw\": {\"lr\": 0.25}, \"nesterov\": \"false\"}",
    };
    for (int i = 0; i < 3; i++) {
        rv_optimizer *optimizer = made("muon", forms[i], NULL);
        assert_true(value(optimizer, "lr") == 0.5 && value(optimizer, "adamw.lr") == 0.25);
        assert_true(value(optimizer, "muon.nesterov") == 0);
        rv_optimizer_free(optimizer);
    }
}

/* Defaults < the method's own list < options < rules of the user. */
static void test_precedence(void **state)
{
    (void)state;
    static const char rules[] = "[{\"role\": [\"norm\", \"bias\"], \"method\": \"adamw\", \"params\": {\"weight_decay\": 0}},"
                                " {\"method\": \"adamw\"}]";
    rv_optimizer *optimizer = made("adamw", "weight_decay=0.5,lr=0.1", rules);
    rv_optimizer_row rows[COUNT];
    rv_optimizer_rows(optimizer, rows, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_true(rows[i].lr == 0.1);
        assert_true(rows[i].weight_decay == (tensors[i].role == RV_ROLE_BIAS ? 0 : 0.5));
    }
    assert_true(value(optimizer, "adamw#2.weight_decay") == 0.5);
    rv_optimizer_free(optimizer);
}

static void test_matches(void **state)
{
    (void)state;
    static const char rules[] = "[{\"name\": \"block0.*\", \"rank\": 2, \"method\": \"sgd\", \"params\": \"momentum=0.9\"},"
                                " {\"rank\": [3, 4], \"method\": \"nadamw@1\"}, {\"method\": \"adamw\"}]";
    static const char *const expected[COUNT] = {"adamw", "sgd", "adamw", "nadamw", "nadamw", "adamw", "adamw"};
    rv_optimizer *optimizer = made("adamw", NULL, rules);
    rv_optimizer_row rows[COUNT];
    rv_optimizer_rows(optimizer, rows, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_string_equal(rows[i].method, expected[i]);
    assert_true(value(optimizer, "sgd.momentum") == 0.9);
    rv_optimizer_free(optimizer);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("muno", NULL, NULL, RV_E_UNKNOWN, "muon");
    refused("adamw", "lr", NULL, RV_E_ARGUMENT, "name=value");
    refused("adamw", "{\"lr\": }", NULL, RV_E_FORMAT, "optimizer parameters");
    refused("adamw", "{\"lr\": [1]}", NULL, RV_E_ARGUMENT, "lr");
    refused("adamw", "sgd.lr=1", NULL, RV_E_UNKNOWN, "sgd.lr");
    refused("adamw", NULL, "[{\"role\": \"bias\", \"method\": \"adamw\"}]", RV_E_UNKNOWN, "embed");
    refused("adamw", NULL, "[{\"role\": \"biass\", \"method\": \"adamw\"}]", RV_E_UNKNOWN, "bias");
    refused("adamw", NULL, "[{\"roles\": \"bias\", \"method\": \"adamw\"}]", RV_E_UNKNOWN, "role");
    refused("adamw", NULL, "[{\"rank\": [3, 2], \"method\": \"adamw\"}]", RV_E_ARGUMENT, "rank");
    refused("adamw", NULL, "[{\"role\": \"bias\"}]", RV_E_ARGUMENT, "method");
    refused("adamw", NULL, "[]", RV_E_ARGUMENT, "rules");
    refused("adamw", NULL, "{", RV_E_FORMAT, "optimizer rules");
    refused("sgd", "lr=1", "[{\"method\": \"adamw\"}]", RV_E_UNKNOWN, "sgd");
    refused("sgd", "nesterov=true", NULL, RV_E_ARGUMENT, "nesterov");
    refused("shampoo", "precondition_frequency=5,start_preconditioning_step=2", NULL, RV_E_ARGUMENT, "start");
}

static void test_two_of_a_name(void **state)
{
    (void)state;
    const rv_tensor twins[] = {tensors[5], tensors[5]};
    const void *const parts[] = {w[0], w[1]};
    const rv_optimizer_options options = {.method = "sgd", .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err;
    assert_int_equal(rv_optimizer_new(&optimizer, &options, twins, 2, parts, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "bias"));
}

/* A value that would need other state is refused while running and stays as it was. */
static void test_set_keeps_state(void **state)
{
    (void)state;
    rv_error err;
    rv_optimizer *optimizer = made("sgd", "momentum=0.9", NULL);
    assert_int_equal(rv_optimizer_set(optimizer, "momentum", 0, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "momentum"));
    assert_true(value(optimizer, "momentum") == 0.9);
    assert_int_equal(rv_optimizer_set(optimizer, "momentum", 0.5, &err), RV_OK);
    assert_true(value(optimizer, "momentum") == 0.5);
    rv_optimizer_free(optimizer);
}

/* What is set counts in the next step: w - factor lr g. */
static void test_set_counts(void **state)
{
    (void)state;
    rv_error err;
    void *ws[COUNT];
    const void *gs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ws[i] = w[i];
        gs[i] = g[i];
        w[i][0] = 1;
        g[i][0] = 8;
    }
    rv_optimizer *optimizer = made("sgd", "lr=0.5", NULL);
    rv_optimizer_set_lr_factor(optimizer, 0.25);
    assert_int_equal(rv_optimizer_set(optimizer, "lr", 2, &err), RV_OK);
    assert_int_equal(rv_optimizer_step(optimizer, ws, gs, &err), RV_OK);
    for (int i = 0; i < COUNT; i++)
        assert_true(w[i][0] == 1 - 0.25 * 2 * 8);
    rv_optimizer_free(optimizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_muon_rules),   cmocka_unit_test(test_params_forms), cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_matches),      cmocka_unit_test(test_refusals),     cmocka_unit_test(test_two_of_a_name),
        cmocka_unit_test(test_set_keeps_state), cmocka_unit_test(test_set_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
