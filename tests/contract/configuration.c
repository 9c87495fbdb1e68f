/* Configuration of every method: what it declares is true, what it cannot mean is refused. */
#include "fixture.h"

static void test_descriptors(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        rv_error err;
        assert_true(info->name && info->title && info->equations && info->paper && info->reference);
        assert_true(info->deviations && info->state && info->params && info->version >= 1);
        must(rv_params_check(info->params, &err), &err);
        const rv_method *method = NULL;
        must(rv_method_lookup(full_name(info), &method, &err), &err);
        assert_true(method->slot_count <= RV_MAX_SLOTS && method->scalar_count <= RV_MAX_SCALARS);
        assert_true(method->tolerance > 0 && method->tolerance <= 1e-6);
        for (int k = 0; k < method->slot_count; k++) /* the text names every slot */
            if (!strstr(info->state, method->slots[k].name))
                fail_msg("%s: state text lacks '%s'", info->name, method->slots[k].name);
    }
}

static void test_names_and_versions(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        char name[RV_NAME_SIZE];
        const rv_method_info *newest = rv_method_find(info->name);
        assert_true(newest && newest->version >= info->version);
        assert_ptr_equal(rv_method_find(full_name(info)), info);
        snprintf(name, sizeof name, "%s@%d", info->name, newest->version + 1);
        assert_null(rv_method_find(name));
    }
    const rv_method *method;
    rv_error err;
    assert_int_equal(rv_method_lookup("adanw", &method, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "adamw"));
    assert_int_equal(rv_method_lookup("adamw@x", &method, &err), RV_E_ARGUMENT);
}

/* Several versions of a name may stay registered, in any order: the newest is meant unless one is
 * asked for. */
static void test_old_versions(void **state)
{
    (void)state;
    static const rv_method_info first = {.name = "walk", .version = 1}, third = {.name = "walk", .version = 3},
                                second = {.name = "walk", .version = 2}, other = {.name = "walker", .version = 9};
    const rv_method_info *const infos[] = {&other, &first, &third, &second};
    static const struct {
        const char *name;
        int found; /* -1: refused */
    } wanted[] = {{"walk", 2}, {"walk@1", 1}, {"walk@2", 3}, {"walk@3", 2}, {"walk@4", -1}, {"walker", 0}, {"walker@1", -1}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        int at = -1;
        rv_error err = {0};
        const rv_status status = rv_registry_lookup(infos, 4, "method", wanted[i].name, &at, &err);
        assert_int_equal(status, wanted[i].found < 0 ? RV_E_UNKNOWN : RV_OK);
        assert_int_equal(at, wanted[i].found);
    }
}

/* No name and version twice. */
static void test_no_doubles(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        int same = 0;
        EACH_METHOD(again)
        same += strcmp(info->name, again->name) == 0 && info->version == again->version;
        assert_int_equal(same, 1);
    }
}

/* Tries "name=value" and expects status. */
static void refuse(fixture *f, const char *method, const char *name, const char *value, rv_status status)
{
    char params[256];
    rv_error err = {0};
    snprintf(params, sizeof params, "%s=%s", name, value);
    const rv_status found = fixture_optimizer(f, method, params, NULL, &err);
    if (found != status && !(status == RV_E_RANGE && found == RV_E_ARGUMENT))
        fail_msg("%s: %s gave %s (%s)", method, params, rv_status_name(found), err.message);
    assert_null(f->optimizer);
    assert_non_null(strstr(err.message, name));
}

static void test_bounds(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, LARGE, RV_F32);
    EACH_METHOD(info)
    {
        for (size_t i = 0; i < info->params->count; i++) {
            const rv_param *row = &info->params->rows[i];
            char value[64];
            if (row->type == RV_PARAM_CHOICE) {
                refuse(&f, info->name, row->name, "no_such_word", RV_E_ARGUMENT);
            } else if (row->type == RV_PARAM_BOOL) {
                refuse(&f, info->name, row->name, "perhaps", RV_E_ARGUMENT);
            } else {
                snprintf(value, sizeof value, "%.17g", row->lo - 1);
                refuse(&f, info->name, row->name, value, RV_E_RANGE);
                refuse(&f, info->name, row->name, "nan", RV_E_RANGE);
                refuse(&f, info->name, row->name, "x", RV_E_ARGUMENT);
                if (row->flags & RV_PARAM_OPEN_HI && isfinite(row->hi)) {
                    snprintf(value, sizeof value, "%.17g", row->hi);
                    refuse(&f, info->name, row->name, value, RV_E_RANGE);
                }
            }
        }
    }
    fixture_release(&f);
}

static void test_unknown_option(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, LARGE, RV_F32);
    EACH_METHOD(info)
    {
        rv_error err = {0};
        char params[128];
        const char *known = info->params->rows[0].name;
        snprintf(params, sizeof params, "%sx=1", known);
        assert_int_equal(fixture_optimizer(&f, full_name(info), params, NULL, &err), RV_E_UNKNOWN);
        assert_non_null(strstr(err.message, known));
    }
    fixture_release(&f);
}

/* Bytes: the sum over the arrays of the state, over the rows, and per parameter. */
static void test_memory(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f;
        rv_error err;
        fixture_init(&f, LARGE, RV_F32);
        must(fixture_optimizer(&f, full_name(info), test_params(info), NULL, &err), &err);
        saved s = save(f.optimizer);
        size_t arrays = 0, scalars = 0, rows = 0;
        for (int i = 0; i < s.count; i++) {
            arrays += saved_bytes(&s.arrays[i]);
            scalars += s.arrays[i].dtype == RV_F64 ? sizeof(double) : 0;
        }
        rv_optimizer_row row[TENSORS];
        assert_int_equal(rv_optimizer_rows(f.optimizer, row, TENSORS), LARGE);
        for (int i = 0; i < LARGE; i++) {
            assert_string_equal(row[i].tensor, proto[i].name);
            rows += row[i].bytes;
        }
        assert_int_equal(rv_optimizer_bytes(f.optimizer), arrays);
        assert_int_equal(rows + scalars, arrays);
        saved_release(&s);
        fixture_release(&f);
    }
}

static void test_bytes_per_parameter(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        if (isnan(info->bytes_per_parameter))
            continue;
        const rv_tensor tensor = {.name = "matrix", .role = RV_ROLE_HIDDEN, .shape = {2, {25, 40}}};
        static float w[1000];
        const void *const parts[] = {w};
        const rv_optimizer_options options = {.method = full_name(info)};
        rv_optimizer *optimizer;
        rv_optimizer_row row;
        rv_error err;
        must(rv_optimizer_new(&optimizer, &options, &tensor, 1, parts, &err), &err);
        rv_optimizer_rows(optimizer, &row, 1);
        assert_true((double)row.bytes == 1000 * info->bytes_per_parameter);
        rv_optimizer_free(optimizer);
    }
}

/* The resolved configuration, given back as rules, makes the same optimizer. */
static void test_config_round_trip(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f;
        rv_error err;
        fixture_init(&f, LARGE, RV_F64);
        must(fixture_optimizer(&f, full_name(info), "lr=0.0123456789012345678", NULL, &err), &err);
        char *config = rv_optimizer_config(f.optimizer);
        const char *rules = strstr(config, "\"rules\":");
        assert_non_null(rules);
        char *list = strdup(rules + strlen("\"rules\":"));
        list[strlen(list) - 1] = 0; /* the brace that closes the configuration */
        rv_optimizer *again;
        const rv_optimizer_options options = {.method = full_name(info), .rules = list, .dtype = RV_F64};
        must(rv_optimizer_new_flat(&again, &options, &f.layout, f.w, &err), &err);
        char *second = rv_optimizer_config(again);
        assert_string_equal(config, second);
        rv_optimizer_free(again);
        free(config);
        free(second);
        free(list);
        fixture_release(&f);
    }
}

static void test_set_and_get(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f;
        rv_error err;
        double value;
        fixture_init(&f, LARGE, RV_F32);
        must(fixture_optimizer(&f, full_name(info), "lr=0.5", NULL, &err), &err);
        rv_optimizer_set_lr_factor(f.optimizer, 0.25);
        must(rv_optimizer_get(f.optimizer, "lr", &value, &err), &err);
        assert_true(value == 0.125);
        must(rv_optimizer_set(f.optimizer, "lr", 2, &err), &err);
        must(rv_optimizer_get(f.optimizer, "lr", &value, &err), &err);
        assert_true(value == 0.5);
        assert_int_equal(rv_optimizer_set(f.optimizer, "lr", -1, &err), RV_E_RANGE);
        assert_int_not_equal(rv_optimizer_set(f.optimizer, "lr", NAN, &err), RV_OK);
        assert_int_equal(rv_optimizer_set(f.optimizer, "no_such", 1, &err), RV_E_UNKNOWN);
        assert_int_equal(rv_optimizer_set(f.optimizer, "none.lr", 1, &err), RV_E_UNKNOWN);
        must(rv_optimizer_get(f.optimizer, "lr", &value, &err), &err);
        assert_true(value == 0.5);
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),         cmocka_unit_test(test_names_and_versions),
        cmocka_unit_test(test_old_versions),        cmocka_unit_test(test_no_doubles),
        cmocka_unit_test(test_bounds),              cmocka_unit_test(test_unknown_option),
        cmocka_unit_test(test_memory),              cmocka_unit_test(test_bytes_per_parameter),
        cmocka_unit_test(test_config_round_trip),   cmocka_unit_test(test_set_and_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
