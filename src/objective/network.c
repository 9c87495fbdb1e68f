/* The network objective: fills shards from the source, runs them on the pool and adds
 * their gradients (shards.h). */
#include "objective/network.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objective/metric.h"
#include "objective/shards.h"

enum { RECOMPUTE_BATCHES = 16 };
static const double STATISTICS_MOMENTUM = 0.1; /* of the running statistics, as torch's default */

/* ---- construction ------------------------------------------------------ */

/* together: one runner that all workers of the pool share, in the place of one for each. */
static rv_status build_model(rv_network_model *m, const rv_network *network, int64_t rows, rv_pool *pool, bool together,
                             rv_plan_options options, rv_error *err)
{
    const int workers = together ? 1 : rv_pool_workers(pool);
    m->rows = rows;
    m->together = together;
    m->graph = rv_graph_new();
    m->runners = calloc((size_t)workers, sizeof *m->runners);
    if (!m->graph || !m->runners)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its graph", network->name);
    rv_value inputs[RV_SOURCE_INPUTS];
    const rv_source *source = network->source;
    for (int i = 0; i < source->inputs; i++) {
        rv_shape shape = {.rank = source->input_shape[i].rank + 1, .dim = {rows}};
        for (int k = 1; k < shape.rank; k++)
            shape.dim[k] = source->input_shape[i].dim[k - 1];
        char name[24];
        snprintf(name, sizeof name, i == 0 ? "input" : "input%d", i);
        inputs[i] = rv_graph_input(m->graph, i + 1 < source->inputs ? name : "label", source->input_dtype[i], shape);
    }
    network->build(m->graph, inputs, network->params);
    RV_TRY(rv_graph_status(m->graph, err));
    RV_TRY(rv_plan_new(&m->plan, m->graph, options, err));
    for (int i = 0; i < workers; i++)
        RV_TRY(rv_runner_new_over(&m->runners[i], m->plan, together ? pool : NULL, err));
    return RV_OK;
}

static void release_model(rv_network_model *m, int workers)
{
    for (int i = 0; m->runners && i < (m->together ? 1 : workers); i++)
        rv_runner_free(m->runners[i]);
    free(m->runners);
    rv_plan_free(m->plan);
    rv_graph_free(m->graph);
}

static void network_free(rv_objective *objective)
{
    rv_network_objective *o = (rv_network_objective *)objective;
    release_model(&o->train, o->workers);
    release_model(&o->evaluation, o->workers);
    rv_sampler_release(&o->sampler);
    rv_arena_release(&o->gradients);
    rv_arena_release(&o->factors);
    rv_source_free(o->source);
    free(o->ids);
    free(o->statistics);
    free(o->results);
    free(o->base.state);
    free(o);
}

static int64_t limited(const rv_network_objective *o, rv_split split)
{
    int64_t n = o->source->examples[split];
    return o->evaluation_limit > 0 && o->evaluation_limit < n ? o->evaluation_limit : n;
}

/* The number of evaluation shards of the largest split. */
static int64_t evaluation_shards(const rv_network_objective *o)
{
    int64_t most = 1;
    for (int split = 0; split < 3; split++) {
        int64_t shards = (limited(o, (rv_split)split) + o->evaluation.rows - 1) / o->evaluation.rows;
        most = shards > most ? shards : most;
    }
    return most;
}

static rv_status allocate(rv_network_objective *o, rv_error *err)
{
    size_t element = rv_dtype_size(o->base.dtype), shards = (size_t)o->shards;
    size_t vector = rv_arena_align((size_t)o->base.layout->size * element);
    /* The gradient of an only shard is written where it is wanted. */
    RV_TRY(rv_arena_init(&o->gradients, shards > 1 ? shards * vector : 0, err));
    for (size_t s = 0; shards > 1 && s < shards; s++)
        o->gradient[s] = (char *)o->gradients.base + s * vector;
    int64_t evaluations = evaluation_shards(o);
    size_t results = evaluations > o->shards ? (size_t)evaluations : shards;
    o->results = calloc(results, sizeof *o->results);
    o->ids = malloc(shards * (size_t)o->train.rows * sizeof *o->ids);
    o->base.state_size = rv_plan_buffer_size(o->train.plan);
    if (o->base.state_size > 0) {
        o->base.state = calloc((size_t)o->base.state_size, element);
        o->statistics = calloc(shards * (size_t)o->base.state_size, element);
    }
    if (!o->results || !o->ids || (o->base.state_size > 0 && (!o->base.state || !o->statistics)))
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its batches", o->base.name);
    for (size_t i = 0; i < shards * (size_t)o->train.rows; i++)
        o->ids[i] = -1;
    return RV_OK;
}

static rv_status construct(rv_network_objective *o, const rv_network *network, const rv_workload_env *env,
                           rv_error *err)
{
    int64_t batch = env->batch > 0 ? env->batch : network->batch;
    if (batch <= network->undivided)
        o->shards = 1;
    while (o->shards > 1 && (o->shards > batch || (o->shards > 2 && batch < o->shards * network->least_rows)))
        o->shards /= 2;
    int64_t rows = (batch + o->shards - 1) / o->shards;
    rv_plan_options options = {.backend = env->backend, .gradient = true, .bf16 = env->bf16};
    /* A worker without a shard helps with those of the others. */
    RV_TRY(build_model(&o->train, network, rows, o->pool, o->shards < o->workers, options, err));
    options.gradient = false;
    RV_TRY(build_model(&o->evaluation, network, network->evaluation_rows, o->pool, false, options, err));
    RV_TRY(rv_sampler_init(&o->sampler, network->source->examples[RV_SPLIT_TRAIN], batch,
                           network->source->draw, network->drop_last, err));
    rv_shape logits = rv_graph_shape(o->train.graph, rv_graph_output(o->train.graph, "logits"));
    o->classes = logits.rank > 0 && network->source->classes > 0 ? logits.dim[logits.rank - 1] : 0;
    o->evaluation_limit = network->evaluation_limit;
    o->base.layout = rv_plan_layout(o->train.plan);
    o->base.dtype = rv_backend_dtype(env->backend);
    o->base.examples = batch;
    o->base.epoch = network->source->draw ? 0 : network->source->examples[RV_SPLIT_TRAIN];
    o->base.flops = (double)o->shards * rv_plan_flops(o->train.plan, true);
    return allocate(o, err);
}

/* ---- the objective's methods ------------------------------------------- */

static rv_status network_init(rv_objective *objective, uint64_t seed, void *w, rv_error *err)
{
    (void)err;
    rv_network_objective *o = (rv_network_objective *)objective;
    rv_plan_init(o->train.plan, seed, w, o->base.state);
    return RV_OK;
}

static double state_at(const rv_network_objective *o, const void *vector, int64_t i)
{
    return o->base.dtype == RV_F64 ? ((const double *)vector)[i] : (double)((const float *)vector)[i];
}

/* state += momentum * (mean of the shards' statistics - state), in order of the shards. */
static void blend_statistics(rv_network_objective *o, double momentum)
{
    for (int64_t i = 0; i < o->base.state_size; i++) {
        double sum = 0, used = 0;
        for (int s = 0; s < o->shards; s++)
            if (o->results[s].loss[1] > 0) {
                sum += state_at(o, rv_network_statistics(o, s), i);
                used += 1;
            }
        if (used == 0)
            continue;
        double old = state_at(o, o->base.state, i), now = old + momentum * (sum / used - old);
        if (o->base.dtype == RV_F64)
            ((double *)o->base.state)[i] = now;
        else
            ((float *)o->base.state)[i] = (float)now;
    }
}

static rv_status name_nonfinite(const rv_network_objective *o, const void *g, rv_error *err)
{
    const rv_layout *layout = o->base.layout;
    for (int t = 0; t < layout->count; t++) {
        int64_t size = rv_shape_size(&layout->tensors[t].shape), offset = layout->tensors[t].offset;
        for (int64_t i = 0; i < size; i++)
            if (!isfinite(state_at(o, g, offset + i)))
                return rv_fail(err, RV_E_NUMERIC, "%s: gradient of %s[%lld] is not finite", o->base.name,
                               layout->tensors[t].name, (long long)i);
    }
    return rv_fail(err, RV_E_NUMERIC, "%s: the gradient is not finite", o->base.name);
}

/* Runs the shards of a batch forward, and backward if asked; loss = their (sum, weight). */
static rv_status run_batch(rv_network_pass p, double loss[2], rv_error *err)
{
    rv_network_objective *o = p.o;
    rv_sampler_batch(&o->sampler, p.batch, o->ids);
    rv_pool_run(o->train.together ? NULL : o->pool, o->shards, rv_network_train_shard, &p);
    RV_TRY(rv_network_failure(o, o->shards, err));
    loss[0] = loss[1] = 0;
    for (int s = 0; s < o->shards; s++) {
        loss[0] += o->results[s].loss[0];
        loss[1] += o->results[s].loss[1];
    }
    return RV_OK;
}

/* g NULL: it is not wanted. */
static rv_status gradient(rv_network_pass p, void *g, double *loss, rv_error *err)
{
    rv_network_objective *o = p.o;
    double total[2];
    p.backward = true;
    if (p.drawn && o->classes == 0)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: has no classes that labels could be drawn from", o->base.name);
    if (o->shards == 1)
        o->gradient[0] = g ? g : o->unwanted;
    RV_TRY(rv_plan_pack(o->train.plan, p.w, o->pool, err));
    RV_TRY(run_batch(p, total, err));
    if (!(total[1] > 0))
        return rv_fail(err, RV_E_RANGE, "%s: step %llu: the batch has no example with a label", o->base.name,
                       (unsigned long long)p.batch.step);
    *loss = total[0] / total[1];
    if (!g)
        return RV_OK;
    bool finite = rv_reduce_shards((const void *const *)o->gradient, o->shards, o->base.layout->size, o->base.dtype,
                                   1 / total[1], g, o->pool);
    return finite ? RV_OK : name_nonfinite(o, g, err);
}

static rv_status network_value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g,
                                    double *loss, rv_error *err)
{
    rv_network_objective *o = (rv_network_objective *)objective;
    RV_TRY(gradient((rv_network_pass){.o = o, .w = w, .batch = batch}, g, loss, err));
    blend_statistics(o, STATISTICS_MOMENTUM);
    return RV_OK;
}

static rv_status network_sampled_grad(rv_objective *objective, const void *w, rv_batch batch, void *g,
                                      double *loss, rv_error *err)
{
    rv_network_objective *o = (rv_network_objective *)objective;
    return gradient((rv_network_pass){.o = o, .w = w, .batch = batch, .drawn = true}, g, loss, err);
}

static rv_status reserve_factors(rv_network_objective *o, rv_error *err)
{
    if (o->factor[0])
        return RV_OK;
    const size_t bytes = rv_arena_align((size_t)rv_layout_factors(o->base.layout) * rv_dtype_size(o->base.dtype));
    const size_t gradient = o->shards == 1 ? (size_t)o->base.layout->size * rv_dtype_size(o->base.dtype) : 0;
    RV_TRY(rv_arena_init(&o->factors, (size_t)o->shards * bytes + gradient, err));
    for (int s = 0; s < o->shards; s++)
        o->factor[s] = (char *)o->factors.base + (size_t)s * bytes;
    o->unwanted = (char *)o->factors.base + (size_t)o->shards * bytes;
    return RV_OK;
}

static rv_status network_factors(rv_objective *objective, const void *w, rv_batch batch, bool sampled, void *g,
                                 double *loss, void *factors, rv_error *err)
{
    rv_network_objective *o = (rv_network_objective *)objective;
    RV_TRY(reserve_factors(o, err));
    RV_TRY(gradient((rv_network_pass){.o = o, .w = w, .batch = batch, .drawn = sampled, .factors = true}, g, loss, err));
    if (!sampled)
        blend_statistics(o, STATISTICS_MOMENTUM);
    if (rv_reduce_shards((const void *const *)o->factor, o->shards, rv_layout_factors(o->base.layout), o->base.dtype, 1,
                         factors, o->pool))
        return RV_OK;
    return rv_fail(err, RV_E_NUMERIC, "%s: a factor of a linear layer is not finite", o->base.name);
}

static rv_status network_evaluate(rv_objective *objective, const void *w, rv_split split,
                                  rv_metrics *metrics, rv_error *err)
{
    rv_network_objective *o = (rv_network_objective *)objective;
    rv_network_pass p = {.o = o, .w = w, .split = split, .examples = limited(o, split)};
    if (p.examples == 0)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s has no %s split", o->base.name, rv_split_name(split));
    RV_TRY(rv_plan_pack(o->evaluation.plan, w, o->pool, err));
    int64_t shards = (p.examples + o->evaluation.rows - 1) / o->evaluation.rows;
    rv_pool_run(o->pool, (int)shards, rv_network_evaluate_shard, &p);
    RV_TRY(rv_network_failure(o, shards, err));
    double loss[2] = {0, 0}, correct = 0, counted = 0;
    for (int64_t s = 0; s < shards; s++) {
        loss[0] += o->results[s].loss[0];
        loss[1] += o->results[s].loss[1];
        correct += o->results[s].correct;
        counted += o->results[s].counted;
    }
    rv_metrics_put(metrics, "loss", loss[0] / loss[1]);
    if (o->classes > 0)
        rv_metrics_put(metrics, "accuracy", correct / counted);
    return RV_OK;
}

static rv_status network_recompute(rv_objective *objective, const void *w, rv_error *err)
{
    rv_network_objective *o = (rv_network_objective *)objective;
    RV_TRY(rv_plan_pack(o->train.plan, w, o->pool, err));
    for (int k = 0; k < RECOMPUTE_BATCHES; k++) {
        double loss[2];
        const rv_batch batch = {.seed = 0, .step = (uint64_t)k, .parts = 1};
        RV_TRY(run_batch((rv_network_pass){.o = o, .w = w, .batch = batch}, loss, err));
        blend_statistics(o, 1.0 / (k + 1)); /* the mean over the batches so far */
    }
    return RV_OK;
}

static const rv_objective_methods methods = {.init = network_init, .value_grad = network_value_grad,
                                             .evaluate = network_evaluate, .recompute = network_recompute,
                                             .free = network_free, .sampled_grad = network_sampled_grad,
                                             .factors = network_factors};

rv_status rv_network_new(rv_objective **out, const rv_network *network, const rv_workload_env *env,
                         rv_error *err)
{
    assert(network->shards >= 1 && network->shards <= RV_SHARDS_MOST);
    rv_network_objective *o = calloc(1, sizeof *o);
    if (!o) {
        rv_source_free(network->source);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory", network->name);
    }
    o->base = (rv_objective){.methods = &methods, .name = network->name};
    o->source = network->source;
    o->base.data = o->source->description;
    o->pool = env->pool;
    o->workers = rv_pool_workers(env->pool);
    o->shards = network->shards;
    rv_status status = construct(o, network, env, err);
    if (status != RV_OK) {
        network_free(&o->base);
        return rv_fail_prefix(err, status, "%s", network->name);
    }
    if (env->note)
        env->note(env->note_context, o->source->description);
    *out = &o->base;
    return RV_OK;
}
