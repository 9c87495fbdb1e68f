/* What every wrapper promises in every form, around several methods: what it declares is true,
 * the same bits for any number of workers and across a restart, nothing that is not finite in the
 * weights, and weights that stay where gradients are zero. */
#include "fixture.h"

static const struct {
    const char *method, *params;
} inner[] = {{"sgd", "momentum=0.9,lr=0.01"}, {"adamw", "weight_decay=0"}, {"muon", ""}};
enum { INNER = sizeof inner / sizeof inner[0] };

static variant list[VARIANTS];
static int count;

static int make_list(void **state)
{
    (void)state;
    count = all_variants(list);
    return 0;
}

/* All that change nothing about another: one long list, in a sensible order. */
static const char *const everything =
    "accumulate(steps=2),clip_norm(max_norm=5),grokfast_ema,centralize,sam(rho=0.01),clip_value(max_value=2),"
    "decay(weight_decay=0.01),lookahead(k=2),ema(decay=0.9),swa,lawa_queue(k=2)";

static void start(fixture *f, int number, const char *wrappers, int tensors, rv_dtype dtype, rv_pool *pool)
{
    rv_error err;
    fixture_init(f, tensors, dtype);
    must(fixture_wrapped(f, inner[number].method, inner[number].params, wrappers, pool, &err), &err);
}

static void walk(fixture *f, int steps)
{
    for (int step = 0; step < steps; step++) {
        bowl_gradient(f);
        fixture_step(f);
    }
}

/* ---- what is declared ----------------------------------------------------- */

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
    for (int i = 0; i < count; i++) {
        char text[256];
        const char *known = list[i].info->params->rows[0].name;
        snprintf(text, sizeof text, "%s(%sx=1)", list[i].info->name, known);
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
    start(&f, 0, "lawa_queue(k=3)", LARGE, RV_F32, NULL);
    assert_int_equal(rv_optimizer_set(f.optimizer, "lawa_queue.k", 4, &err), RV_E_ARGUMENT);
    must(rv_optimizer_set(f.optimizer, "lawa_queue.interval", 4, &err), &err);
    fixture_release(&f);
}

/* ---- bits ------------------------------------------------------------------- */

static void same_bits(int number, const char *wrappers, rv_dtype dtype)
{
    static const int workers[] = {1, 2, 3, 7};
    fixture first = {0};
    saved a = {0};
    for (int i = 0; i < 4; i++) {
        rv_pool *pool = NULL;
        rv_error err;
        fixture f;
        if (workers[i] > 1)
            must(rv_pool_new(&pool, workers[i], &err), &err);
        start(&f, number, wrappers, TENSORS, dtype, pool);
        walk(&f, 5);
        saved b = save(f.optimizer);
        rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
        rv_optimizer_free(f.optimizer);
        f.optimizer = NULL;
        rv_pool_free(pool);
        if (i == 0) {
            first = f;
            a = b;
            continue;
        }
        const size_t bytes = (size_t)f.layout.size * rv_dtype_size(dtype);
        if (memcmp(first.w, f.w, bytes) != 0 || memcmp(first.g, f.g, bytes) != 0 || !saved_equal(&a, &b))
            fail_msg("%s around %s: other bits with %d workers", wrappers, inner[number].method, workers[i]);
        saved_release(&b);
        fixture_release(&f);
    }
    saved_release(&a);
    fixture_release(&first);
}

static void test_threads(void **state)
{
    (void)state;
    for (int number = 0; number < INNER; number++) {
        for (int i = 0; i < count; i++)
            same_bits(number, list[i].text, number == 1 ? RV_F64 : RV_F32);
        same_bits(number, everything, RV_F32);
    }
}

/* k calls, a new optimizer with the saved state, and the rest: at every k. */
static void resume(int number, const char *wrappers)
{
    enum { CALLS = 9 };
    fixture whole, f;
    rv_error err;
    start(&whole, number, wrappers, LARGE, RV_F32, NULL);
    walk(&whole, CALLS);
    saved end = save(whole.optimizer);
    rv_optimizer_evaluation_weights_flat(whole.optimizer, whole.w, whole.g, NULL);
    for (int stop = 0; stop <= CALLS; stop++) {
        start(&f, number, wrappers, LARGE, RV_F32, NULL);
        walk(&f, stop);
        saved half = save(f.optimizer);
        must(fixture_wrapped(&f, inner[number].method, inner[number].params, wrappers, NULL, &err), &err);
        must(rv_optimizer_restore(f.optimizer, half.arrays, half.count, &err), &err);
        walk(&f, CALLS - stop);
        saved again = save(f.optimizer);
        rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
        const size_t bytes = (size_t)f.layout.size * sizeof(float);
        if (!saved_equal(&end, &again) || memcmp(f.w, whole.w, bytes) != 0 || memcmp(f.g, whole.g, bytes) != 0)
            fail_msg("%s around %s: other bits after a restart at %d", wrappers, inner[number].method, stop);
        saved_release(&half);
        saved_release(&again);
        fixture_release(&f);
    }
    saved_release(&end);
    fixture_release(&whole);
}

static void test_resume_at_every_step(void **state)
{
    (void)state;
    for (int number = 0; number < INNER; number++) {
        for (int i = 0; i < count; i++)
            resume(number, list[i].text);
        resume(number, everything);
    }
}

/* ---- values ------------------------------------------------------------------- */

static void spoil(const char *wrappers, double bad, rv_dtype dtype)
{
    for (int t = 0; t < LARGE; t++) {
        fixture f;
        rv_error err = {0};
        start(&f, 0, wrappers, LARGE, dtype, NULL);
        const int64_t size = rv_shape_size(&f.tensors[t].shape);
        walk(&f, 2);
        bowl_gradient(&f);
        if (size > 0)
            put(f.g, dtype, f.tensors[t].offset + size - 1, bad);
        const rv_status status = rv_optimizer_step_closure_flat(f.optimizer, f.w, f.g, bowl_closure, &f, &err);
        if (status != (size > 0 ? RV_E_NUMERIC : RV_OK))
            fail_msg("%s: %s for %g in %s", wrappers, rv_status_name(status), bad, f.tensors[t].name);
        if (size > 0)
            assert_non_null(strstr(err.message, f.tensors[t].name));
        EACH_ELEMENT(&f, i)
        assert_true(isfinite(get(f.w, dtype, i)));
        fixture_release(&f);
    }
}

static void test_bad_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        spoil(list[i].text, NAN, RV_F32);
        spoil(list[i].text, -INFINITY, RV_F64);
    }
    spoil(everything, INFINITY, RV_F32);
}

/* The largest and the smallest numbers of the type, and zero. */
static void extremes(const char *wrappers, double value)
{
    fixture f;
    rv_error err = {0};
    start(&f, 0, wrappers, LARGE, RV_F32, NULL);
    EACH_ELEMENT(&f, i)
    put(f.g, RV_F32, i, i % 2 ? value : -value);
    for (int step = 0; step < 4; step++) {
        const rv_status status = rv_optimizer_step_closure_flat(f.optimizer, f.w, f.g, bowl_closure, &f, &err);
        assert_true(status == RV_OK || (value > 1 && status == RV_E_NUMERIC));
    }
    rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
    EACH_ELEMENT(&f, i)
    assert_true(isfinite(get(f.w, RV_F32, i)) && isfinite(get(f.g, RV_F32, i)));
    fixture_release(&f);
}

static void test_extremes(void **state)
{
    (void)state;
    static const double values[] = {3e38, 1e20, 1e-30, 1e-44, 0};
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
            extremes(list[i].text, values[k]);
}

/* Without decay and perturbation, zero gradients move neither weights nor averages. */
static void test_zero_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].info->name, "decay") == 0 || strcmp(list[i].info->name, "sam") == 0 ||
            strcmp(list[i].info->name, "li_arora_start") == 0 ||
            strstr(list[i].text, "bias_correction"))
            continue;
        fixture f, before;
        start(&f, 1, list[i].text, LARGE, RV_F32, NULL);
        fixture_init(&before, LARGE, RV_F32);
        for (int step = 0; step < 7; step++)
            fixture_step(&f);
        rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
        EACH_ELEMENT(&f, k)
        {
            assert_true(get(f.w, RV_F32, k) == get(before.w, RV_F32, k));
            assert_true(fabs(get(f.g, RV_F32, k) - get(f.w, RV_F32, k)) < 1e-6); /* a mean rounds */
        }
        fixture_release(&f);
        fixture_release(&before);
    }
}

/* Counters of the state are exact where a float or an int would not be. */
static void test_large_counters(void **state)
{
    (void)state;
    static const double counts[] = {16777216, 2147483647, 1099511627776};
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            fixture f;
            rv_error err;
            start(&f, 1, list[i].text, LARGE, RV_F32, NULL);
            saved s = save(f.optimizer);
            *(double *)s.arrays[0].data = counts[k];
            for (int n = 0; n < s.count; n++) /* "ema.taken" and its like are counts too */
                if (strstr(s.arrays[n].name, ".taken") || strstr(s.arrays[n].name, ".seen"))
                    *(double *)s.arrays[n].data = counts[k];
            must(rv_optimizer_restore(f.optimizer, s.arrays, s.count, &err), &err);
            walk(&f, 4);
            assert_true(rv_optimizer_steps(f.optimizer) >= (int64_t)counts[k] + 2);
            EACH_ELEMENT(&f, n)
            assert_true(isfinite(get(f.w, RV_F32, n)));
            saved_release(&s);
            fixture_release(&f);
        }
}

/* Asking for evaluation weights changes neither weights nor state, however often. */
static void test_queries_change_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        fixture f, g;
        start(&f, 0, list[i].text, LARGE, RV_F32, NULL);
        start(&g, 0, list[i].text, LARGE, RV_F32, NULL);
        for (int step = 0; step < 5; step++) {
            walk(&f, 1);
            walk(&g, 1);
            rv_optimizer_evaluation_weights_flat(g.optimizer, g.w, g.g, NULL);
        }
        saved a = save(f.optimizer), b = save(g.optimizer);
        assert_true(saved_equal(&a, &b));
        assert_memory_equal(f.w, g.w, (size_t)f.layout.size * sizeof(float));
        saved_release(&a);
        saved_release(&b);
        fixture_release(&f);
        fixture_release(&g);
    }
}

/* Who needs a closure says so, and a step without one is refused and moves nothing. */
static void test_closure_is_asked_for(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        fixture f, before;
        rv_error err;
        start(&f, 0, list[i].text, LARGE, RV_F32, NULL);
        fixture_init(&before, LARGE, RV_F32);
        bowl_gradient(&f);
        const bool wants = rv_optimizer_wants_closure(f.optimizer);
        const rv_status status = rv_optimizer_step_flat(f.optimizer, f.w, f.g, &err);
        assert_int_equal(status, wants ? RV_E_ARGUMENT : RV_OK);
        if (wants) {
            assert_non_null(strstr(err.message, "rv_optimizer_step_closure"));
            assert_memory_equal(f.w, before.w, (size_t)f.layout.size * sizeof(float));
        }
        fixture_release(&f);
        fixture_release(&before);
    }
}

/* Every wrapper still lets the method descend. */
static void test_descent(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        fixture f;
        rv_error err;
        fixture_init(&f, LARGE, RV_F32);
        const double begin = bowl(&f);
        const bool slow = strcmp(list[i].info->name, "agc") == 0; /* a hundredth of the weights a step */
        must(fixture_wrapped(&f, "sgd", slow ? "lr=1" : "lr=0.1", list[i].text, NULL, &err), &err);
        for (int step = 0; step < 600; step++) {
            bowl_gradient(&f);
            rv_optimizer_set_lr_factor(f.optimizer, 1 - step / 600.0);
            fixture_step(&f);
        }
        const bool bends = strcmp(list[i].info->name, "centralize") == 0 || strcmp(list[i].info->name, "orthograd") == 0 ||
                           strcmp(list[i].info->name, "decay") == 0; /* another minimum, by design */
        if (!(bowl(&f) < (bends ? 0.9 : 0.05) * begin))
            fail_msg("%s: from %g only to %g", list[i].text, begin, bowl(&f));
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),          cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_refusals),             cmocka_unit_test(test_forms_of_a_list),
        cmocka_unit_test(test_set_keeps_shapes),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_resume_at_every_step), cmocka_unit_test(test_bad_gradients),
        cmocka_unit_test(test_extremes),             cmocka_unit_test(test_zero_gradients),
        cmocka_unit_test(test_large_counters),       cmocka_unit_test(test_queries_change_nothing),
        cmocka_unit_test(test_closure_is_asked_for), cmocka_unit_test(test_descent),
    };
    return cmocka_run_group_tests(tests, make_list, NULL);
}
