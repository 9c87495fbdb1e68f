/* Descent in memory, and the small things every study with an objective needs. */
#include "studies/descend.h"

#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"

/* A further gradient of the same mini-batch, as SAM asks for; running statistics stay those of the weights. */
static rv_status again(void *context, rv_probe probe, const void *w, void *g, double *loss, rv_error *err)
{
    rv_descent *d = context;
    void *statistics;
    if (probe != RV_PROBE_GRADIENT)
        return rv_fail(err, RV_E_UNSUPPORTED, "no objective draws labels from its own output yet");
    RV_TRY(rv_statistics_save(d->objective, &statistics, err));
    rv_batch batch = {.seed = d->seed, .step = (uint64_t)d->made, .parts = 1};
    rv_status status = rv_objective_value_grad(d->objective, w, batch, g, loss, err);
    rv_statistics_restore(d->objective, statistics);
    return status;
}

static rv_status one_step(rv_descent *d, rv_optimizer *optimizer, void *w, void *g, rv_error *err)
{
    double loss;
    int64_t step = d->made;
    rv_batch batch = {.seed = d->seed, .step = (uint64_t)step, .parts = 1};
    RV_TRY(rv_objective_value_grad(d->objective, w, batch, g, &loss, err));
    if (d->observe)
        RV_TRY(d->observe(d->context, step, w, loss, err));
    if (d->factor)
        rv_optimizer_set_lr_factor(optimizer, d->factor(d->context, step));
    return rv_optimizer_step_closure_flat(optimizer, w, g, again, d, err);
}

rv_status rv_descend(rv_descent *d, void *w, rv_error *err)
{
    rv_optimizer *optimizer = NULL;
    void *g = rv_study_vector(d->objective, err);
    if (!g)
        return RV_E_MEMORY;
    rv_optimizer_options options = {.method = d->method, .params = d->params, .rules = d->rules, .wrappers = d->wrappers,
                                    .dtype = d->objective->dtype, .seed = d->seed};
    rv_status status = rv_optimizer_new_flat(&optimizer, &options, d->objective->layout, w, err);
    if (status == RV_OK && d->prepare)
        d->prepare(d->context, optimizer);
    d->diverged = false;
    for (d->made = 0; status == RV_OK && d->made < d->steps; d->made += status == RV_OK)
        status = one_step(d, optimizer, w, g, err);
    if (status == RV_E_NUMERIC) {
        d->diverged = true;
        status = RV_OK;
    }
    if (status == RV_OK && d->observe && !d->diverged)
        status = d->observe(d->context, d->made, w, NAN, err);
    rv_optimizer_free(optimizer);
    free(g);
    return status;
}

static void pass_note(void *context, const char *line)
{
    const rv_study_options *options = context;
    options->note(options->context, line);
}

rv_status rv_study_objective(const rv_study_run *run, const char *name, const char *params, rv_backend backend,
                             int64_t batch, rv_objective **out, rv_error *err)
{
    const rv_workload *workload = rv_workload_find(name);
    void *values = workload ? malloc(workload->params->size) : NULL;
    if (!values)
        return rv_fail(err, workload ? RV_E_MEMORY : RV_E_UNKNOWN, "workload %s: %s", name,
                       workload ? "no memory" : "no such workload");
    rv_params_init(workload->params, values);
    rv_workload_env env = {.data = run->data, .pool = run->pool, .backend = backend, .batch = batch};
    if (run->options->note) {
        env.note = pass_note;
        env.note_context = (void *)(uintptr_t)run->options;
    }
    rv_status status = rv_study_set(workload->params, values, params, err);
    if (status == RV_OK)
        status = workload->make(values, &env, out, err);
    free(values);
    return status;
}

rv_status rv_study_evaluate(rv_objective *objective, const void *w, rv_split split, const char *metric,
                            double *value, rv_error *err)
{
    rv_metrics metrics;
    RV_TRY(rv_objective_evaluate(objective, w, split, &metrics, err));
    *value = rv_metrics_get(&metrics, metric);
    return RV_OK;
}

void *rv_study_vector(const rv_objective *objective, rv_error *err)
{
    void *vector = calloc((size_t)objective->layout->size, rv_dtype_size(objective->dtype));
    if (!vector)
        rv_fail(err, RV_E_MEMORY, "no memory for a vector of %lld parameters", (long long)objective->layout->size);
    return vector;
}
