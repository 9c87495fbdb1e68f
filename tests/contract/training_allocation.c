/* A training step allocates nothing: gradient and AdamW's step, with a shard for every worker and with one that
 * they share, in float32 and with products in bf16.  Not here: convolutions, for the library that makes them
 * allocates a few small objects in every call (docs/speed.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "allocations.h"
#include "ravine/ravine.h"

enum { WARM = 2, STEPS = 3 };

static void must(rv_status status, const rv_error *err)
{
    if (status != RV_OK)
        fail_msg("%s", err->message);
}

static void *vector_of(const rv_objective *o)
{
    const size_t bytes = (size_t)o->layout->size * sizeof(float);
    void *x = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(x);
    return memset(x, 0, bytes);
}

static void check(const char *name, const char *const *set, int64_t batch_size, bool bf16, rv_pool *pool)
{
    rv_error err = {0};
    const rv_workload *workload = rv_workload_find(name);
    void *params = malloc(workload->params->size);
    rv_objective *o;
    rv_optimizer *adamw;
    rv_params_init(workload->params, params);
    for (int i = 0; set[i]; i += 2)
        must(rv_params_set(workload->params, params, set[i], set[i + 1], &err), &err);
    const rv_workload_env env = {.backend = RV_BACKEND_CPU, .pool = pool, .batch = batch_size, .bf16 = bf16};
    must(workload->make(params, &env, &o, &err), &err);
    float *w = vector_of(o), *g = vector_of(o);
    must(rv_objective_init(o, 1, w, &err), &err);
    const rv_optimizer_options options = {.method = "adamw", .pool = pool};
    must(rv_optimizer_new_flat(&adamw, &options, o->layout, w, &err), &err);
    long before = 0;
    for (int step = 0; step < WARM + STEPS; step++) {
        double loss;
        if (step == WARM)
            before = atomic_load(&allocations);
        must(rv_objective_value_grad(o, w, (rv_batch){.seed = 1, .step = (uint64_t)step, .parts = 1}, g, &loss, &err), &err);
        must(rv_optimizer_step_flat(adamw, w, g, &err), &err);
    }
    const long made = atomic_load(&allocations) - before;
    if (made != 0)
        fail_msg("%s, batch %lld%s, %d workers: %ld allocations in %d steps", name, (long long)batch_size,
                 bf16 ? ", bf16" : "", rv_pool_workers(pool), made, STEPS);
    rv_optimizer_free(adamw);
    rv_objective_free(o);
    free(params);
    free(w);
    free(g);
}

static void test_training_allocates_nothing(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    static const char *const modular[] = {"p", "23", "width", "64", NULL};
    static const char *const lm[] = {"layers", "1", "heads", "3", "width", "192", "block", "128", "dropout", "0.1", NULL};
    static const char *const mlp[] = {"images", "256", NULL};
    for (int workers = 1; workers <= 2; workers++) {
        rv_pool *pool;
        rv_error err;
        must(rv_pool_new(&pool, workers, &err), &err);
        for (int bf16 = 0; bf16 < 2; bf16++) {
            check("modular-division", modular, 64, bf16, pool);
            check("char-lm", lm, 4, bf16, pool);
            check("char-lm", lm, 1, bf16, pool);
            check("mnist-mlp", mlp, 128, bf16, pool);
            check("mnist-mlp", mlp, 2, bf16, pool);
        }
        rv_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counter), cmocka_unit_test(test_training_allocates_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
