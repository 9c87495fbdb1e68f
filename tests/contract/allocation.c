/* A step of any method allocates nothing, and neither do the queries: malloc is counted. */
#include "fixture.h"

#include "allocations.h"

static void test_no_allocation(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    rv_pool *pool;
    rv_error err;
    must(rv_pool_new(&pool, 2, &err), &err);
    EACH_METHOD(info)
    {
        fixture f;
        fixture_init(&f, TENSORS, RV_F32);
        must(fixture_optimizer(&f, full_name(info), test_params(info), pool, &err), &err);
        bowl_gradient(&f);
        const long before = atomic_load(&allocations); /* the closure of the test allocates nothing */
        for (int step = 0; step < 4; step++) {
            fixture_step(&f);
            rv_optimizer_set_lr_factor(f.optimizer, 0.5);
        }
        double lr;
        must(rv_optimizer_get(f.optimizer, "lr", &lr, &err), &err);
        rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
        rv_clip_global_norm(f.g, &f.layout, RV_F32, 1, pool);
        const long after = atomic_load(&allocations);
        if (after != before)
            fail_msg("%s: %ld allocations in four steps", info->name, after - before);
        fixture_release(&f);
    }
    rv_pool_free(pool);
}

static void test_wrappers_no_allocation(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    static variant list[VARIANTS];
    rv_pool *pool;
    rv_error err;
    must(rv_pool_new(&pool, 2, &err), &err);
    const int count = all_variants(list);
    for (int i = 0; i < count; i++) {
        fixture f;
        fixture_init(&f, TENSORS, RV_F32);
        must(fixture_wrapped(&f, "adamw", "", list[i].text, pool, &err), &err);
        bowl_gradient(&f);
        const long before = atomic_load(&allocations);
        for (int step = 0; step < 5; step++)
            fixture_step(&f);
        rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
        const long after = atomic_load(&allocations);
        if (after != before)
            fail_msg("%s: %ld allocations in five steps", list[i].text, after - before);
        fixture_release(&f);
    }
    rv_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counter), cmocka_unit_test(test_no_allocation),
                                       cmocka_unit_test(test_wrappers_no_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
