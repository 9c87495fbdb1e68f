/* Values that are not finite and states that belong to something else, for every method. */
#include "fixture.h"

/* One bad element in each tensor in turn: the error names tensor and step, the tile that
 * holds it keeps its bits, and nothing anywhere becomes NaN. */
static void spoil(const rv_method_info *info, double bad, rv_dtype dtype)
{
    for (int t = 0; t < LARGE; t++) {
        fixture f;
        rv_error err = {0};
        fixture_init(&f, LARGE, dtype);
        const int64_t whole = rv_shape_size(&f.tensors[t].shape), tile = 512 / (int64_t)rv_dtype_size(dtype);
        const int64_t skipped = whole > 0 ? (whole - 1) / tile * tile : 0; /* tiles before the last */
        const int64_t size = whole - skipped, at = f.tensors[t].offset + skipped;
        must(fixture_optimizer(&f, full_name(info), test_params(info), NULL, &err), &err);
        bowl_gradient(&f);
        fixture_step(&f);
        char *before = malloc((size_t)(size + 1) * rv_dtype_size(dtype));
        const size_t skip = (size_t)at * rv_dtype_size(dtype), bytes = (size_t)size * rv_dtype_size(dtype);
        memcpy(before, (char *)f.w + skip, bytes);
        if (size > 0)
            put(f.g, dtype, at + size - 1, bad);
        const rv_status status = rv_optimizer_step_closure_flat(f.optimizer, f.w, f.g, bowl_closure, &f, &err);
        assert_int_equal(status, size > 0 ? RV_E_NUMERIC : RV_OK);
        if (size > 0) {
            assert_non_null(strstr(err.message, "step 2"));
            assert_non_null(strstr(err.message, f.tensors[t].name));
            assert_memory_equal(before, (char *)f.w + skip, bytes);
            assert_int_equal(rv_optimizer_steps(f.optimizer), 1);
        }
        EACH_ELEMENT(&f, i)
        assert_true(isfinite(get(f.w, dtype, i)));
        free(before);
        fixture_release(&f);
    }
}

static void test_bad_gradients(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        spoil(info, NAN, RV_F32);
        spoil(info, INFINITY, RV_F32);
        spoil(info, -INFINITY, RV_F64);
    }
}

/* Finite gradients whose update would overflow: refused, or taken without leaving the type. */
static void test_overflowing_updates(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f;
        rv_error err = {0};
        fixture_init(&f, LARGE, RV_F32);
        must(fixture_optimizer(&f, full_name(info), "lr=1e30", NULL, &err), &err);
        EACH_ELEMENT(&f, i)
        put(f.g, RV_F32, i, i % 2 ? 3e38 : -3e38);
        for (int step = 0; step < 3; step++) {
            const rv_status status = rv_optimizer_step_closure_flat(f.optimizer, f.w, f.g, bowl_closure, &f, &err);
            assert_true(status == RV_OK || status == RV_E_NUMERIC);
            EACH_ELEMENT(&f, i)
            assert_true(isfinite(get(f.w, RV_F32, i)));
        }
        fixture_release(&f);
    }
}

/* A refused state changes nothing and the error lists all that is wrong. */
static void test_restore_refuses(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f;
        rv_error err = {0};
        fixture_init(&f, LARGE, RV_F32);
        must(fixture_optimizer(&f, full_name(info), test_params(info), NULL, &err), &err);
        bowl_gradient(&f);
        fixture_step(&f);
        saved own = save(f.optimizer), other = save(f.optimizer);

        /* A missing array, a whole count that is not one, and a stranger. */
        char stranger[2 * RV_NAME_SIZE] = "stranger", *lost = other.arrays[other.count - 1].name;
        if (other.count > 1)
            memcpy(lost, stranger, sizeof stranger);
        *(double *)other.arrays[0].data = 1.5;
        assert_int_equal(rv_optimizer_restore(f.optimizer, other.arrays, other.count, &err), RV_E_MISMATCH);
        assert_non_null(strstr(err.message, "steps"));
        if (other.count > 1) {
            assert_non_null(strstr(err.message, "stranger"));
            assert_non_null(strstr(err.message, own.arrays[own.count - 1].name));
        }
        /* Another type. */
        memcpy(lost, own.arrays[own.count - 1].name, sizeof stranger);
        *(double *)other.arrays[0].data = 5;
        other.arrays[other.count - 1].dtype = RV_BF16;
        assert_int_equal(rv_optimizer_restore(f.optimizer, other.arrays, other.count, &err), RV_E_MISMATCH);
        assert_non_null(strstr(err.message, "bf16"));

        saved now = save(f.optimizer);
        assert_true(saved_equal(&own, &now));
        saved_release(&own);
        saved_release(&other);
        saved_release(&now);
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_gradients),
        cmocka_unit_test(test_overflowing_updates),
        cmocka_unit_test(test_restore_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
