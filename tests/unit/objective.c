/* The waist: exact gradients of whole networks, sampling, trees, independence of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objective/network.h"
#include "objective/reduce.h"
#include "objective/sampler.h"
#include "ravine/ravine.h"

static rv_objective *make_in(const char *name, const char *const *set, rv_workload_env env)
{
    rv_error err = {0};
    rv_objective *objective = NULL;
    const rv_workload *workload = rv_workload_find(name);
    assert_non_null(workload);
    void *params = malloc(workload->params->size);
    rv_params_init(workload->params, params);
    for (int i = 0; set && set[i]; i += 2)
        assert_int_equal(rv_params_set(workload->params, params, set[i], set[i + 1], &err), RV_OK);
    rv_status status = workload->make(params, &env, &objective, &err);
    if (status != RV_OK)
        fail_msg("%s", err.message);
    free(params);
    return objective;
}

static rv_objective *make(const char *name, const char *const *set, rv_backend backend, rv_pool *pool,
                          int64_t batch)
{
    return make_in(name, set, (rv_workload_env){.backend = backend, .pool = pool, .batch = batch});
}

static double loss_at(rv_objective *objective, const double *w, rv_batch batch, double *g)
{
    rv_error err = {0};
    double loss;
    if (rv_objective_value_grad(objective, w, batch, g, &loss, &err) != RV_OK)
        fail_msg("%s", err.message);
    return loss;
}

/* The gradient along random directions against central differences, in float64. */
static void check_gradient(const char *name, const char *const *set, int64_t batch_size)
{
    rv_error err;
    rv_objective *o = make(name, set, RV_BACKEND_REF, NULL, batch_size);
    size_t n = (size_t)o->layout->size;
    double *w = calloc(n, sizeof *w), *g = calloc(n, sizeof *g), *moved = calloc(n, sizeof *moved),
           *scratch = calloc(n, sizeof *scratch);
    rv_batch batch = {.seed = 3, .step = 1, .parts = 1};
    assert_int_equal(rv_objective_init(o, 7, w, &err), RV_OK);
    loss_at(o, w, batch, g);
    for (uint64_t k = 0; k < 4; k++) {
        rv_random stream = {11, RV_RANDOM_PROBE, k};
        const double h = 1e-5;
        double along = 0, side[2];
        for (size_t i = 0; i < n; i++)
            along += g[i] * rv_random_normal(stream, i);
        for (int s = 0; s < 2; s++) {
            for (size_t i = 0; i < n; i++)
                moved[i] = w[i] + (s ? -h : h) * rv_random_normal(stream, i);
            side[s] = loss_at(o, moved, batch, scratch);
        }
        double difference = (side[0] - side[1]) / (2 * h);
        if (fabs(along - difference) > 1e-6 * (1 + fabs(along)))
            fail_msg("%s: gradient %.12g along direction %d, difference %.12g", name, along, (int)k, difference);
    }
    free(w);
    free(g);
    free(moved);
    free(scratch);
    rv_objective_free(o);
}

static void test_network_gradients(void **state)
{
    (void)state;
    check_gradient("modular-division", (const char *[]){"p", "7", "width", "8", "heads", "2", NULL}, 12);
    check_gradient("char-lm",
                   (const char *[]){"layers", "1", "heads", "2", "width", "8", "block", "6", NULL}, 3);
    check_gradient("rosenbrock", NULL, 0);
    check_gradient("linear-regression", NULL, 0);
    check_gradient("linear-transformer", (const char *[]){"deviation", "0.3", NULL}, 20);
}

/* The same bits from 1, 2, 3 and 7 workers, over a few steps of gradient descent. */
static void run_steps(rv_objective *o, float *w, float *g, int steps, double *losses)
{
    rv_error err = {0};
    assert_int_equal(rv_objective_init(o, 1, w, &err), RV_OK);
    for (int t = 0; t < steps; t++) {
        rv_batch batch = {.seed = 5, .step = (uint64_t)t, .parts = 1};
        if (rv_objective_value_grad(o, w, batch, g, &losses[t], &err) != RV_OK)
            fail_msg("%s", err.message);
        for (int64_t i = 0; i < o->layout->size; i++)
            w[i] -= 0.05f * g[i];
    }
}

static void check_threads(const char *name, const char *const *set, int64_t batch_size, bool bf16)
{
    enum { STEPS = 3 };
    static const int workers[] = {1, 2, 3, 7};
    float *first = NULL;
    double first_loss[STEPS];
    for (int k = 0; k < 4; k++) {
        rv_error err;
        rv_pool *pool;
        double losses[STEPS];
        assert_int_equal(rv_pool_new(&pool, workers[k], &err), RV_OK);
        const rv_workload_env env = {.backend = RV_BACKEND_CPU, .pool = pool, .batch = batch_size, .bf16 = bf16};
        rv_objective *o = make_in(name, set, env);
        size_t bytes = (size_t)o->layout->size * sizeof(float);
        float *w = aligned_alloc(64, bytes), *g = aligned_alloc(64, bytes);
        run_steps(o, w, g, STEPS, losses);
        rv_metrics metrics;
        assert_int_equal(rv_objective_evaluate(o, w, RV_SPLIT_VALIDATION, &metrics, &err), RV_OK);
        assert_true(isfinite(rv_metrics_get(&metrics, "loss")));
        if (!first) {
            first = w;
            memcpy(first_loss, losses, sizeof losses);
        } else {
            assert_memory_equal(first, w, bytes);
            assert_memory_equal(first_loss, losses, sizeof losses);
            free(w);
        }
        free(g);
        rv_objective_free(o);
        rv_pool_free(pool);
    }
    free(first);
}

static void test_threads(void **state)
{
    (void)state;
    check_threads("modular-division", (const char *[]){"p", "23", "width", "32", NULL}, 64, false);
    check_threads("char-lm", (const char *[]){"layers", "1", "width", "32", "dropout", "0.1", "evaluate", "16", NULL}, 4,
                  false);
    check_threads("cifar-resnet20", (const char *[]){"images", "256", "evaluate", "64", NULL}, 32, false);
}

/* Fewer shards than workers, so that several work on one: models large enough to be cut. */
static void test_threads_on_one_shard(void **state)
{
    (void)state;
    const char *const lm[] = {"layers", "1", "heads", "3", "width", "192", "block", "128", "dropout", "0.1", "evaluate", "1", NULL};
    const char *const mlp[] = {"images", "256", "evaluate", "64", NULL};
    for (int64_t batch = 1; batch <= 2; batch++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            check_threads("char-lm", lm, batch, bf16);
            check_threads("mnist-mlp", mlp, batch, bf16);
            check_threads("cifar-resnet20", mlp, batch, bf16);
        }
}

/* float32 against float64: the same start, the same batch, the same loss and gradient. */
static void test_float32_against_float64(void **state)
{
    (void)state;
    const char *set[] = {"p", "11", "width", "16", "heads", "2", NULL};
    rv_error err;
    rv_objective *a = make("modular-division", set, RV_BACKEND_REF, NULL, 24);
    rv_objective *b = make("modular-division", set, RV_BACKEND_CPU, NULL, 24);
    size_t n = (size_t)a->layout->size;
    assert_int_equal(b->layout->size, a->layout->size);
    double *wa = calloc(n, 8), *ga = calloc(n, 8), loss_a, loss_b;
    float *wb = calloc(n, 4), *gb = calloc(n, 4);
    rv_objective_init(a, 1, wa, &err);
    rv_objective_init(b, 1, wb, &err);
    for (size_t i = 0; i < n; i++)
        assert_true(wb[i] == (float)wa[i]);
    rv_batch batch = {.seed = 2, .parts = 1};
    assert_int_equal(rv_objective_value_grad(a, wa, batch, ga, &loss_a, &err), RV_OK);
    assert_int_equal(rv_objective_value_grad(b, wb, batch, gb, &loss_b, &err), RV_OK);
    assert_true(fabs(loss_a - loss_b) < 1e-5 * fabs(loss_a));
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += pow(ga[i] - (double)gb[i], 2);
        norm += ga[i] * ga[i];
    }
    assert_true(sqrt(difference / norm) < 1e-5);
    free(wa);
    free(ga);
    free(wb);
    free(gb);
    rv_objective_free(a);
    rv_objective_free(b);
}

/* An epoch visits every example once; the position is a function of the step alone. */
static void test_sampler_epochs(void **state)
{
    (void)state;
    rv_error err;
    rv_sampler s, fresh;
    int64_t ids[4], again[4];
    int seen[10] = {0};
    assert_int_equal(rv_sampler_init(&s, 10, 4, false, false, &err), RV_OK);
    assert_int_equal(rv_sampler_init(&fresh, 10, 4, false, false, &err), RV_OK);
    for (uint64_t step = 0; step < 3; step++) {
        rv_sampler_batch(&s, (rv_batch){.seed = 1, .step = step, .parts = 1}, ids);
        for (int i = 0; i < 4; i++)
            if (ids[i] >= 0)
                seen[ids[i]]++;
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(ids[2], -1); /* the last batch holds two */
    rv_sampler_batch(&fresh, (rv_batch){.seed = 1, .step = 2, .parts = 1}, again);
    assert_memory_equal(ids, again, sizeof ids);
    /* two parts of step 1 are the batches 2 and 3 */
    rv_sampler_batch(&fresh, (rv_batch){.seed = 1, .step = 1, .part = 0, .parts = 2}, again);
    assert_memory_equal(ids, again, sizeof ids);
    rv_sampler_release(&s);
    rv_sampler_release(&fresh);
}

static void test_sampler_drop_last(void **state)
{
    (void)state;
    rv_error err;
    rv_sampler s;
    int64_t ids[4];
    assert_int_equal(rv_sampler_init(&s, 10, 4, false, true, &err), RV_OK);
    for (uint64_t step = 0; step < 6; step++) {
        rv_sampler_batch(&s, (rv_batch){.step = step, .parts = 1}, ids);
        for (int i = 0; i < 4; i++)
            assert_true(ids[i] >= 0);
    }
    rv_sampler_release(&s);
    assert_int_equal(rv_sampler_init(&s, 3, 4, false, true, &err), RV_E_RANGE);
}

/* Integers in floats: the tree is exact, so it must equal the plain sum; a NaN is seen. */
static void test_reduce(void **state)
{
    (void)state;
    enum { SHARDS = 32, SIZE = 10001 };
    float *memory = malloc(SHARDS * SIZE * sizeof *memory), out[SIZE];
    const void *vectors[SHARDS];
    for (int s = 0; s < SHARDS; s++) {
        vectors[s] = memory + s * SIZE;
        for (int i = 0; i < SIZE; i++)
            memory[s * SIZE + i] = (float)(s * 3 + i % 7);
    }
    for (int count = 1; count <= SHARDS; count *= 2) {
        assert_true(rv_reduce_shards(vectors, count, SIZE, RV_F32, 0.5, out, NULL));
        for (int i = 0; i < SIZE; i++)
            assert_true(out[i] == 0.5f * (float)(count * (count - 1) / 2 * 3 + count * (i % 7)));
    }
    memory[5 * SIZE + SIZE - 1] = NAN;
    assert_false(rv_reduce_shards(vectors, SHARDS, SIZE, RV_F32, 1, out, NULL));
    assert_true(rv_reduce_shards(vectors, 4, SIZE, RV_F32, 1, out, NULL));
    memory[SIZE / 2] = INFINITY;
    assert_false(rv_reduce_shards(vectors, 1, SIZE, RV_F32, 1, out, NULL));
    free(memory);
}

/* At weights that make every logit equal but one, the accuracy is that label's share of the
 * validation windows: the count must look at whole rows of logits. */
static void test_accuracy(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o = make("char-lm", (const char *[]){"layers", "1", "width", "8", "heads", "2", "evaluate", "64", NULL},
                           RV_BACKEND_REF, NULL, 0);
    double *w = calloc((size_t)o->layout->size, sizeof *w), expected = 0;
    const rv_tensor *tokens = &o->layout->tensors[rv_layout_find(o->layout, "tokens.weight")];
    const rv_tensor *gain = &o->layout->tensors[rv_layout_find(o->layout, "norm.gain")];
    rv_metrics metrics;
    rv_source *source;
    int32_t ids[64], labels[64], space = -1;
    assert_int_equal(rv_source_text(&source, NULL, 64, &err), RV_OK);
    for (int i = 0; i < 8; i++)
        w[gain->offset + i] = 1;
    /* one label is predicted everywhere: logit = (row of the table) . norm(x), and x is made by
     * the positions */
    int64_t first = 0;
    source->fill(source, RV_SPLIT_VALIDATION, &first, 1, (rv_random){0}, 0, RV_F64, (void *[]){ids, labels});
    space = labels[0];
    const rv_tensor *positions = &o->layout->tensors[rv_layout_find(o->layout, "positions.weight")];
    for (int t = 0; t < 64; t++)
        for (int i = 0; i < 8; i++)
            w[positions->offset + 8 * t + i] = i % 2 ? 1 : -1;
    for (int i = 0; i < 8; i++)
        w[tokens->offset + 8 * space + i] = i % 2 ? 1e-3 : -1e-3;
    assert_int_equal(rv_objective_evaluate(o, w, RV_SPLIT_VALIDATION, &metrics, &err), RV_OK);
    int64_t windows = source->examples[RV_SPLIT_VALIDATION], counted = 0;
    for (int64_t k = 0; k < 64; k++) {
        int64_t id = (int64_t)((double)k * (double)windows / 64);
        source->fill(source, RV_SPLIT_VALIDATION, &id, 1, (rv_random){0}, 0, RV_F64, (void *[]){ids, labels});
        for (int t = 0; t < 64; t++, counted++)
            expected += labels[t] == space;
    }
    assert_true(fabs(rv_metrics_get(&metrics, "accuracy") - expected / (double)counted) < 1e-12);
    assert_true(expected > 0);
    rv_source_free(source);
    free(w);
    rv_objective_free(o);
}

/* Recomputed statistics depend on the weights alone, and evaluation leaves the state. */
static void test_recompute(void **state)
{
    (void)state;
    rv_error err;
    rv_objective *o = make("cifar-resnet20", (const char *[]){"images", "256", "evaluate", "32", NULL},
                           RV_BACKEND_CPU, NULL, 32);
    size_t n = (size_t)o->layout->size, m = (size_t)o->state_size;
    float *w = aligned_alloc(64, n * 4), *once = malloc(m * 4);
    rv_metrics metrics;
    assert_true(m > 0);
    assert_int_equal(rv_objective_init(o, 1, w, &err), RV_OK);
    assert_int_equal(rv_objective_recompute(o, w, &err), RV_OK);
    memcpy(once, o->state, m * 4);
    assert_int_equal(rv_objective_evaluate(o, w, RV_SPLIT_VALIDATION, &metrics, &err), RV_OK);
    assert_memory_equal(once, o->state, m * 4);
    memset(o->state, 0, m * 4);
    assert_int_equal(rv_objective_recompute(o, w, &err), RV_OK);
    assert_memory_equal(once, o->state, m * 4);
    free(w);
    free(once);
    rv_objective_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_gradients), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_on_one_shard),
        cmocka_unit_test(test_float32_against_float64), cmocka_unit_test(test_sampler_epochs),
        cmocka_unit_test(test_sampler_drop_last), cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_recompute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
