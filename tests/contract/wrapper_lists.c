/* Wrappers as they are declared and written: what a descriptor says is true, every form of a list
 * means the same, and what a list cannot mean is refused. */
#include "fixture.h"

static void test_descriptors(void **state)
{
    (void)state;
    for (int i = 0; rv_wrapper_at(i); i++) {
        const rv_method_info *info = rv_wrapper_at(i);
        const rv_wrapper *wrapper = rv_wrapper_number(i);
        rv_error err;
        char name[RV_NAME_SIZE];
        must(rv_params_check(info->params, &err), &err);
        assert_true(info->title && info->equations && info->paper && info->reference && info->deviations);
        assert_ptr_equal(rv_wrapper_find(info->name), info);
        snprintf(name, sizeof name, "%s@%d", info->name, info->version);
        assert_ptr_equal(rv_wrapper_find(name), info);
        assert_null(rv_method_find(info->name)); /* "ema.decay" must mean one thing */
        assert_null(wrapper->method.step);
        assert_true(wrapper->before || wrapper->after);
        for (int k = 0; k < wrapper->method.slot_count; k++)
            assert_non_null(strstr(info->state, wrapper->method.slots[k].name));
        for (int k = 0; k < wrapper->method.scalar_count; k++)
            assert_non_null(strstr(info->state, wrapper->method.scalars[k]));
    }
}

static void test_bytes(void **state)
{
    (void)state;
    for (int i = 0; rv_wrapper_at(i); i++) {
        const rv_method_info *info = rv_wrapper_at(i);
        const rv_tensor tensor = {.name = "matrix", .role = RV_ROLE_HIDDEN, .shape = {2, {25, 40}}};
        static float w[1000];
        const void *const parts[] = {w};
        const rv_optimizer_options options = {.method = "sgd", .wrappers = info->name};
        rv_optimizer *optimizer;
        rv_optimizer_row row;
        rv_error err;
        must(rv_optimizer_new(&optimizer, &options, &tensor, 1, parts, &err), &err);
        rv_optimizer_rows(optimizer, &row, 1);
        if ((double)row.bytes != 1000 * info->bytes_per_parameter)
            fail_msg("%s: %zu bytes, %g declared", info->name, row.bytes, 1000 * info->bytes_per_parameter);
        rv_optimizer_free(optimizer);
    }
}

static void refuse(const char *wrappers, rv_status status, const char *part)
{
    fixture f;
    rv_error err = {0};
    fixture_init(&f, LARGE, RV_F32);
    const rv_status found = fixture_wrapped(&f, "adamw", "", wrappers, NULL, &err);
    if (found != status || !strstr(err.message, part))
        fail_msg("%s gave %s (%s)", wrappers, rv_status_name(found), err.message);
    fixture_release(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("emma", RV_E_UNKNOWN, "'ema'");
    refuse("ema@9", RV_E_UNKNOWN, "newest version is 1");
    refuse("ema(decay=0.9", RV_E_ARGUMENT, "parentheses");
    refuse("ema(decay=0.9)x", RV_E_ARGUMENT, "NAME(PARAMETERS)");
    refuse("ema,,swa", RV_E_ARGUMENT, "no name");
    refuse("ema(decay=1)", RV_E_RANGE, "decay");
    refuse("ema(decai=0.5)", RV_E_UNKNOWN, "decay");
    refuse("ema(0.5)", RV_E_ARGUMENT, "name=value");
    refuse("[\"ema\", 3]", RV_E_ARGUMENT, "wrappers");
    refuse("[{\"name\": \"ema\", \"parms\": {}}]", RV_E_UNKNOWN, "parms");
    refuse("[{\"name\": \"ema\", \"params\": {\"decay\": 2}}]", RV_E_RANGE, "decay");
    refuse("swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa,swa", RV_E_ARGUMENT, "16");
    for (int i = 0; rv_wrapper_at(i); i++) {
        char text[256];
        const char *known = rv_wrapper_at(i)->params->rows[0].name;
        snprintf(text, sizeof text, "%s(%sx=1)", rv_wrapper_at(i)->name, known);
        refuse(text, RV_E_UNKNOWN, known);
    }
}

/* Text, JSON and the configuration that comes out make the same optimizer. */
static void test_forms_of_a_list(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "ema(decay=0.9, interval=2), ema , clip_norm(max_norm=3)",
        "[\"ema(decay=0.9,interval=2)\", {\"name\": \"ema\"}, {\"name\": \"clip_norm@1\", \"params\": {\"max_norm\": 3}}]",
    };
    char *first = NULL;
    for (int i = 0; i < 3; i++) {
        fixture f;
        rv_error err;
        fixture_init(&f, LARGE, RV_F32);
        char *given = i < 2 ? strdup(lists[i]) : NULL;
        if (!given) {
            const char *at = strstr(first, "\"wrappers\":") + strlen("\"wrappers\":");
            given = strdup(at);
            *strstr(given, ",\"rules\"") = 0;
        }
        must(fixture_wrapped(&f, "adamw", "ema#2.decay=0.5", given, NULL, &err), &err);
        char *config = rv_optimizer_config(f.optimizer);
        double value;
        must(rv_optimizer_get(f.optimizer, "ema.decay", &value, &err), &err);
        assert_true(value == 0.9);
        must(rv_optimizer_get(f.optimizer, "ema#2.decay", &value, &err), &err);
        assert_true(value == 0.5);
        must(rv_optimizer_set(f.optimizer, "clip_norm.max_norm", 7, &err), &err);
        must(rv_optimizer_get(f.optimizer, "clip_norm.max_norm", &value, &err), &err);
        assert_true(value == 7);
        if (first)
            assert_string_equal(config, first);
        else
            first = strdup(config);
        free(config);
        free(given);
        fixture_release(&f);
    }
    free(first);
}

/* A change that needs other state is refused. */
static void test_set_keeps_shapes(void **state)
{
    (void)state;
    fixture f;
    rv_error err;
    fixture_init(&f, LARGE, RV_F32);
    must(fixture_wrapped(&f, "sgd", "", "lawa_queue(k=3)", NULL, &err), &err);
    assert_int_equal(rv_optimizer_set(f.optimizer, "lawa_queue.k", 4, &err), RV_E_ARGUMENT);
    must(rv_optimizer_set(f.optimizer, "lawa_queue.interval", 4, &err), &err);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),     cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_forms_of_a_list),
        cmocka_unit_test(test_set_keeps_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
