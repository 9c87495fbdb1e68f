/* What every wrapper promises in every form, around several methods: the same bits for any number
 * of workers and across a restart, nothing that is not finite in the weights, and weights that
 * stay where gradients are zero. */
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

/* Who moves weights before the step puts them back when it fails, to the bit. */
static void test_undo(void **state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        fixture f;
        rv_error err;
        const rv_wrapper *wrapper = NULL;
        must(rv_wrapper_lookup(list[i].info->name, &wrapper, &err), &err);
        if (!wrapper->undo)
            continue;
        start(&f, 1, list[i].text, LARGE, RV_F32, NULL);
        walk(&f, 3);
        float *before = malloc((size_t)f.layout.size * sizeof *before);
        memcpy(before, f.w, (size_t)f.layout.size * sizeof *before);
        put(f.g, RV_F32, f.tensors[12].offset, NAN);
        assert_int_equal(rv_optimizer_step_flat(f.optimizer, f.w, f.g, &err), RV_E_NUMERIC);
        assert_memory_equal(before, f.w, (size_t)f.layout.size * sizeof *before);
        free(before);
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
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_resume_at_every_step),
        cmocka_unit_test(test_bad_gradients), cmocka_unit_test(test_undo),
        cmocka_unit_test(test_extremes),      cmocka_unit_test(test_zero_gradients),
        cmocka_unit_test(test_large_counters), cmocka_unit_test(test_queries_change_nothing),
        cmocka_unit_test(test_closure_is_asked_for), cmocka_unit_test(test_descent),
    };
    return cmocka_run_group_tests(tests, make_list, NULL);
}
