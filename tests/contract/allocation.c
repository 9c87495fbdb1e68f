/* A step of any method allocates nothing, and neither do the queries: malloc is counted. */
#include <stdatomic.h>

#include "fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#define COUNTS 1
#endif

static atomic_long allocations;

#if COUNTS
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(block, size);
}
#endif

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

/* The counter itself counts. */
static void test_counter(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    const long before = atomic_load(&allocations);
    void *volatile block = malloc(10);
    free(block);
    assert_int_equal(atomic_load(&allocations), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counter), cmocka_unit_test(test_no_allocation),
                                       cmocka_unit_test(test_wrappers_no_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
