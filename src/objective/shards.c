/* Running shards: filling inputs, forward and backward, counting what is right. */
#include "objective/shards.h"

#include <string.h>

#include "objective/labels.h"

static void fill(const rv_network_objective *o, rv_runner *runner, rv_split split, const int64_t *ids,
                 int64_t rows, rv_random augment, uint64_t first)
{
    void *inputs[RV_SOURCE_INPUTS];
    for (int i = 0; i < o->source->inputs; i++)
        inputs[i] = rv_runner_input(runner, i);
    o->source->fill(o->source, split, ids, (int)rows, augment, first, o->base.dtype, inputs);
}

void *rv_network_statistics(const rv_network_objective *o, int shard)
{
    size_t bytes = (size_t)o->base.state_size * rv_dtype_size(o->base.dtype);
    return o->statistics ? o->statistics + (size_t)shard * bytes : NULL;
}

/* Draws the labels of a shard that has just run forward; first: number of its first example. */
static void draw_labels(const rv_network_objective *o, rv_runner *runner, rv_batch batch, uint64_t first)
{
    const int last = o->source->inputs - 1;
    const int64_t each = rv_shape_size(&o->source->input_shape[last]);
    rv_labels_draw(o->base.dtype, rv_runner_output(runner, "logits"), rv_runner_input(runner, last), o->train.rows * each,
                   o->classes, (rv_random){batch.seed, RV_RANDOM_LABELS, batch.step}, first * (uint64_t)each);
}

/* The backward of a shard that also leaves its factor sums and, at their end, its number of losses. */
static rv_status backward_with_factors(const rv_network_objective *o, rv_runner *runner, const void *w, int task,
                                       rv_shard_result *result)
{
    const int64_t rows = o->train.rows, *ids = o->ids + task * rows, size = rv_layout_factors(o->base.layout);
    int64_t used = 0;
    while (used < rows && ids[used] >= 0)
        used++;
    memset(o->factor[task], 0, (size_t)size * rv_dtype_size(o->base.dtype));
    if (o->base.dtype == RV_F64)
        ((double *)o->factor[task])[size - 1] = result->loss[1];
    else
        ((float *)o->factor[task])[size - 1] = (float)result->loss[1];
    rv_runner_tap(runner, o->factor[task], used, rows);
    const rv_status status = rv_runner_backward(runner, w, o->gradient[task], &result->error);
    rv_runner_tap(runner, NULL, 0, 1);
    return status;
}

void rv_network_train_shard(void *context, int task, int worker)
{
    const rv_network_pass *p = context;
    rv_network_objective *o = p->o;
    rv_shard_result *result = &o->results[task];
    rv_runner *runner = o->train.runners[worker];
    int64_t rows = o->train.rows;
    rv_random augment = {p->batch.seed, RV_RANDOM_AUGMENT, p->batch.step};
    uint64_t first = (uint64_t)p->batch.part * (uint64_t)o->base.examples + (uint64_t)(task * rows);
    fill(o, runner, RV_SPLIT_TRAIN, o->ids + task * rows, rows, augment, first);
    rv_shard shard = {.seed = p->batch.seed, .step = p->batch.step,
                      .shard = p->batch.part * o->shards + task, .training = true};
    result->status = rv_runner_forward(runner, p->w, rv_network_statistics(o, task), shard, result->loss,
                                       &result->error);
    if (result->status == RV_OK && p->drawn) {
        draw_labels(o, runner, p->batch, first);
        result->status = rv_runner_forward(runner, p->w, rv_network_statistics(o, task), shard, result->loss, &result->error);
    }
    if (result->status == RV_OK && p->backward)
        result->status = p->factors ? backward_with_factors(o, runner, p->w, task, result)
                                    : rv_runner_backward(runner, p->w, o->gradient[task], &result->error);
}

/* Counts the rows whose largest logit stands at the label. */
#define COUNT_CORRECT(name, real)                                                          \
    static void name(const real *logits, const int32_t *labels, int64_t rows, int64_t classes, \
                     rv_shard_result *result)                                                     \
    {                                                                                      \
        for (int64_t r = 0; r < rows; r++) {                                               \
            if (labels[r] < 0)                                                             \
                continue;                                                                  \
            const real *row = logits + r * classes;                                        \
            int64_t best = 0;                                                              \
            for (int64_t c = 1; c < classes; c++)                                          \
                best = row[c] > row[best] ? c : best;                                      \
            result->counted += 1;                                                          \
            result->correct += best == labels[r];                                          \
        }                                                                                  \
    }

COUNT_CORRECT(count_correct_f32, float)
COUNT_CORRECT(count_correct_f64, double)

static void count_correct(const rv_network_objective *o, rv_runner *runner, rv_shard_result *result)
{
    int last = o->source->inputs - 1;
    const void *logits = rv_runner_output(runner, "logits");
    const int32_t *labels = rv_runner_input(runner, last);
    int64_t rows = o->evaluation.rows * rv_shape_size(&o->source->input_shape[last]);
    if (o->base.dtype == RV_F64)
        count_correct_f64(logits, labels, rows, o->classes, result);
    else
        count_correct_f32(logits, labels, rows, o->classes, result);
}

void rv_network_evaluate_shard(void *context, int task, int worker)
{
    const rv_network_pass *p = context;
    rv_network_objective *o = p->o;
    rv_shard_result *result = &o->results[task];
    rv_runner *runner = o->evaluation.runners[worker];
    int64_t rows = o->evaluation.rows, all = o->source->examples[p->split];
    *result = (rv_shard_result){.status = RV_OK};
    for (int64_t done = 0; done < rows;) {
        /* a limited split is evaluated at evenly spaced examples */
        int64_t ids[256], n = rows - done < 256 ? rows - done : 256;
        for (int64_t i = 0; i < n; i++) {
            int64_t k = task * rows + done + i;
            ids[i] = k < p->examples ? (int64_t)((double)k * (double)all / (double)p->examples) : -1;
        }
        void *inputs[RV_SOURCE_INPUTS];
        for (int i = 0; i < o->source->inputs; i++) {
            size_t element = o->source->input_dtype[i] == RV_I32 ? sizeof(int32_t)
                                                                  : rv_dtype_size(o->base.dtype);
            size_t stride = (size_t)rv_shape_size(&o->source->input_shape[i]) * element;
            inputs[i] = (char *)rv_runner_input(runner, i) + (size_t)done * stride;
        }
        o->source->fill(o->source, p->split, ids, (int)n, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0,
                        o->base.dtype, inputs);
        done += n;
    }
    rv_shard shard = {.shard = task, .training = false};
    result->status = rv_runner_forward(runner, p->w, o->base.state, shard, result->loss, &result->error);
    if (result->status == RV_OK && o->classes > 0)
        count_correct(o, runner, result);
}

rv_status rv_network_failure(const rv_network_objective *o, int64_t count, rv_error *err)
{
    for (int64_t i = 0; i < count; i++)
        if (o->results[i].status != RV_OK) {
            if (err)
                *err = o->results[i].error;
            return rv_fail_prefix(err, o->results[i].status, "%s", o->base.name);
        }
    return RV_OK;
}
