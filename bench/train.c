/* Seconds of a training step (forward, backward, AdamW) of one model:
 *     bench_train MODEL BATCH PRECISION THREADS SECONDS
 * prints one JSON object: median and best milliseconds, GFLOP/s, memory.  bench/compare.py
 * runs it in turn with the peers and with the machine's own limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/ravine.h"

enum { LEAST_STEPS = 3, MAX_STEPS = 100000 };

static const struct model {
    const char *name, *workload;
    const char *params[6][2];
} models[] = {
    {"modular-division", "modular-division", {{NULL, NULL}}},
    {"char-lm", "char-lm", {{NULL, NULL}}},
    {"char-lm-large", "char-lm",
     {{"layers", "6"}, {"heads", "6"}, {"width", "384"}, {"block", "256"}, {"dropout", "0.2"}}},
    {"mlp", "mnist-mlp", {{"images", "2000"}}},
    {"resnet20", "cifar-resnet20", {{"augment", "false"}, {"images", "2000"}}},
};

static void check(rv_status status, const rv_error *err)
{
    if (status == RV_OK)
        return;
    fprintf(stderr, "bench_train: %s\n", err->message);
    exit(1);
}

static const struct model *find_model(const char *name)
{
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    fprintf(stderr, "bench_train: no model '%s'\n", name);
    exit(2);
}

static rv_objective *make(const struct model *model, const rv_workload_env *env)
{
    rv_error err;
    rv_objective *objective;
    const rv_workload *workload = rv_workload_find(model->workload);
    void *params = malloc(workload->params->size);
    if (!params)
        exit(1);
    rv_params_init(workload->params, params);
    for (int i = 0; i < 6 && model->params[i][0]; i++)
        check(rv_params_set(workload->params, params, model->params[i][0], model->params[i][1], &err), &err);
    check(workload->make(params, env, &objective, &err), &err);
    free(params);
    return objective;
}

/* As the peer does (peer_torch.py), and before threads are made, which inherit it: moments of weights
 * whose gradient has vanished become denormal after a thousand steps. */
static void flush_denormals(void)
{
#if defined(__x86_64__)
    enum { TO_ZERO = 1 << 15, ARE_ZERO = 1 << 6 };
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | TO_ZERO | ARE_ZERO);
#endif
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench_train MODEL BATCH f32|bf16 THREADS SECONDS\n");
        return 2;
    }
    static double times[MAX_STEPS];
    rv_error err;
    rv_pool *pool;
    flush_denormals();
    check(rv_pool_new(&pool, atoi(argv[4]), &err), &err);
    rv_workload_env env = {.data = getenv("RAVINE_DATA"), .pool = pool, .backend = RV_BACKEND_CPU,
                           .bf16 = strcmp(argv[3], "bf16") == 0, .batch = atoi(argv[2])};
    rv_objective *objective = make(find_model(argv[1]), &env);
    size_t bytes = (size_t)objective->layout->size * sizeof(float);
    float *w = aligned_alloc(64, bytes), *g = aligned_alloc(64, bytes);
    if (!w || !g)
        return 1;
    check(rv_objective_init(objective, 0, w, &err), &err);
    rv_optimizer_options options = {.method = "adamw", .dtype = RV_F32, .pool = pool};
    rv_optimizer *optimizer;
    check(rv_optimizer_new_flat(&optimizer, &options, objective->layout, w, &err), &err);
    double end = rv_clock() + atof(argv[5]), loss = 0;
    int steps = 0;
    for (int warm = 3; warm > 0 || steps < LEAST_STEPS || (rv_clock() < end && steps < MAX_STEPS); warm--) {
        double start = rv_clock();
        rv_batch batch = {.seed = 0, .step = (uint64_t)steps, .parts = 1};
        check(rv_objective_value_grad(objective, w, batch, g, &loss, &err), &err);
        check(rv_optimizer_step_flat(optimizer, w, g, &err), &err);
        if (warm <= 0)
            times[steps++] = rv_clock() - start;
    }
    qsort(times, (size_t)steps, sizeof times[0], ascending);
    double median = times[steps / 2];
    printf("{\"ms\": %.4f, \"best_ms\": %.4f, \"gflops\": %.1f, \"gflop\": %.4f, \"steps\": %d, \"loss\": %.4f}\n",
           1e3 * median, 1e3 * times[0], 1e-9 * objective->flops / median, 1e-9 * objective->flops, steps, loss);
    rv_optimizer_free(optimizer);
    rv_objective_free(objective);
    rv_pool_free(pool);
    free(w);
    free(g);
    return 0;
}
