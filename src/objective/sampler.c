/* Epochs in a permuted order, or draws with replacement: both functions of (seed, step). */
#include "objective/sampler.h"

#include <stdlib.h>

rv_status rv_sampler_init(rv_sampler *sampler, int64_t examples, int64_t batch, bool draw,
                          bool drop_last, rv_error *err)
{
    if (examples < 1 || batch < 1 || examples > UINT32_MAX)
        return rv_fail(err, RV_E_RANGE, "batches of %lld from %lld examples", (long long)batch,
                       (long long)examples);
    if (drop_last && !draw && batch > examples)
        return rv_fail(err, RV_E_RANGE, "batch: expected at most the %lld training examples, found %lld",
                       (long long)examples, (long long)batch);
    *sampler = (rv_sampler){.examples = examples, .batch = batch, .draw = draw, .drop_last = drop_last,
                            .epoch = -1};
    if (!draw) {
        sampler->order = malloc((size_t)examples * sizeof *sampler->order);
        if (!sampler->order)
            return rv_fail(err, RV_E_MEMORY, "no memory for the order of %lld examples", (long long)examples);
    }
    return RV_OK;
}

void rv_sampler_release(rv_sampler *sampler)
{
    free(sampler->order);
    sampler->order = NULL;
}

static void draw_ids(const rv_sampler *sampler, rv_batch batch, int64_t *ids)
{
    rv_random stream = {batch.seed, RV_RANDOM_ORDER, batch.step};
    uint64_t first = (uint64_t)batch.part * (uint64_t)sampler->batch;
    for (int64_t i = 0; i < sampler->batch; i++)
        ids[i] = (int64_t)rv_random_below(stream, first + (uint64_t)i, (uint64_t)sampler->examples);
}

void rv_sampler_batch(rv_sampler *sampler, rv_batch batch, int64_t *ids)
{
    if (sampler->draw) {
        draw_ids(sampler, batch, ids);
        return;
    }
    int64_t whole = sampler->examples / sampler->batch;
    int64_t per_epoch = sampler->drop_last || sampler->examples % sampler->batch == 0 ? whole : whole + 1;
    int64_t number = (int64_t)batch.step * batch.parts + batch.part;
    int64_t epoch = number / per_epoch, first = number % per_epoch * sampler->batch;
    if (epoch != sampler->epoch || batch.seed != sampler->seed) {
        rv_random stream = {batch.seed, RV_RANDOM_ORDER, (uint64_t)epoch};
        rv_random_permutation(stream, (uint32_t)sampler->examples, sampler->order);
        sampler->epoch = epoch;
        sampler->seed = batch.seed;
    }
    for (int64_t i = 0; i < sampler->batch; i++)
        ids[i] = first + i < sampler->examples ? (int64_t)sampler->order[first + i] : -1;
}
