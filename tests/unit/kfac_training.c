/* K-FAC trains: on drawn digits it is past the best of SGD's grid in two thirds of its steps, for every seed; and
 * the same bits come for any number of workers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ravine/ravine.h"

enum { STEPS = 60, FEWER = 40, SEEDS = 3 };

typedef struct run {
    rv_objective *objective;
    rv_pool *pool;
    float *w, *g;
    rv_batch batch;
} run;

static rv_status closure(void *context, rv_probe probe, const void *w, void *g, double *loss, rv_error *err)
{
    run *r = context;
    assert_true(probe == RV_PROBE_FACTORS || probe == RV_PROBE_SAMPLED_FACTORS);
    return rv_objective_factors(r->objective, w, r->batch, probe == RV_PROBE_SAMPLED_FACTORS, NULL, loss, g, err);
}

static void must(rv_status status, const rv_error *err)
{
    if (status != RV_OK)
        fail_msg("%s", err->message);
}

/* Two hidden layers of 64 units, 4000 digits, batches of 128. */
static void start(run *r, int workers)
{
    const rv_workload *workload = rv_workload_find("mnist-mlp");
    rv_error err = {0};
    void *params = calloc(1, workload->params->size);
    *r = (run){0};
    must(rv_pool_new(&r->pool, workers, &err), &err);
    rv_params_init(workload->params, params);
    must(rv_params_set(workload->params, params, "hidden", "64", &err), &err);
    must(rv_params_set(workload->params, params, "images", "4000", &err), &err);
    must(workload->make(params, &(rv_workload_env){.backend = RV_BACKEND_CPU, .pool = r->pool}, &r->objective, &err), &err);
    free(params);
    r->w = aligned_alloc(64, (size_t)(r->objective->layout->size + 16) / 16 * 64);
    r->g = aligned_alloc(64, (size_t)(r->objective->layout->size + 16) / 16 * 64);
    assert_true(r->w && r->g);
}

static void finish(run *r)
{
    rv_objective_free(r->objective);
    rv_pool_free(r->pool);
    free(r->w);
    free(r->g);
}

/* The validation loss after so many steps; HUGE_VAL: diverged. */
static double train(run *r, const char *method, const char *params, uint64_t seed, int steps)
{
    rv_error err = {0};
    rv_optimizer *optimizer;
    const rv_optimizer_options options = {.method = method, .params = params, .pool = r->pool};
    must(rv_objective_init(r->objective, seed, r->w, &err), &err);
    must(rv_optimizer_new_flat(&optimizer, &options, r->objective->layout, r->w, &err), &err);
    rv_status status = RV_OK;
    for (int step = 0; step < steps && status == RV_OK; step++) {
        double loss;
        r->batch = (rv_batch){.seed = seed, .step = (uint64_t)step, .parts = 1};
        status = rv_objective_value_grad(r->objective, r->w, r->batch, r->g, &loss, &err);
        if (status == RV_OK)
            status = rv_optimizer_step_closure_flat(optimizer, r->w, r->g, closure, r, &err);
    }
    rv_optimizer_free(optimizer);
    assert_true(status == RV_OK || status == RV_E_NUMERIC);
    rv_metrics metrics;
    if (status == RV_OK)
        status = rv_objective_evaluate(r->objective, r->w, RV_SPLIT_VALIDATION, &metrics, &err);
    return status == RV_OK ? rv_metrics_get(&metrics, "loss") : HUGE_VAL;
}

static void test_fewer_steps_than_sgd(void **state)
{
    (void)state;
    static const char *const rates[] = {"0.01", "0.03", "0.1", "0.3", "1"}, *const momenta[] = {"0", "0.9"};
    enum { RATES = sizeof rates / sizeof rates[0] };
    run r;
    start(&r, 1);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        double best = HUGE_VAL;
        for (int m = 0; m < 2; m++) {
            double along[RATES];
            int at = 0;
            for (int i = 0; i < RATES; i++) {
                char params[64];
                snprintf(params, sizeof params, "lr=%s,momentum=%s", rates[i], momenta[m]);
                along[i] = train(&r, "sgd", params, seed, STEPS);
                at = along[i] < along[at] ? i : at;
            }
            assert_true(at > 0 && at < RATES - 1); /* the best rate lies inside the grid */
            best = fmin(best, along[at]);
        }
        const double kfac = train(&r, "kfac", NULL, seed, FEWER), sampled = train(&r, "kfac", "labels=sampled", seed, FEWER);
        print_message("seed %d: sgd %.3f after %d steps, kfac %.3f, with sampled labels %.3f after %d\n", (int)seed, best, STEPS,
                      kfac, sampled, FEWER);
        assert_true(kfac < best && sampled < best);
    }
    finish(&r);
}

static void test_bits(void **state)
{
    (void)state;
    run first;
    start(&first, 1);
    (void)train(&first, "kfac", "factor_update_steps=2,inverse_update_steps=3,stagger=true", 1, 5);
    for (int workers = 2; workers <= 3; workers++) {
        run r;
        start(&r, workers);
        (void)train(&r, "kfac", "factor_update_steps=2,inverse_update_steps=3,stagger=true", 1, 5);
        assert_memory_equal(first.w, r.w, (size_t)r.objective->layout->size * sizeof(float));
        finish(&r);
    }
    finish(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fewer_steps_than_sgd), cmocka_unit_test(test_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
